"""Traffic for a demo cluster: producers and consumers in a process of their own, controlled by
lines of JSON."""
