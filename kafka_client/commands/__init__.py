"""Changes to a cluster as plans: shown, applied on confirmation, written to the journal, undone
where Kafka can."""
