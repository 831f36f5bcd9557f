"""External clients: Kafka clients of other projects that the tests drive against a cluster."""
