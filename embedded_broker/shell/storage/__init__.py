"""Partition logs and small files of a broker's log directory, in Kafka's own layout."""
