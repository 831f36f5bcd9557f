"""A broker's log directory on disk, in Kafka's own layout: partition logs and small files."""
