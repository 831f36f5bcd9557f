"""Stand-ins for a Kafka cluster, under the same contract tests as the real client."""
