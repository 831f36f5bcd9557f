"""Changes to a cluster as plans: a person sees the plan, confirms it, and may undo it where Kafka
can."""
