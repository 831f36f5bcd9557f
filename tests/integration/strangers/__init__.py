"""Clients that were not written with this broker in mind: kcat (librdkafka) and kafkajs (Node)."""
