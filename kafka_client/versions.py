"""Which client library this is, for diagnostics."""

from __future__ import annotations


def librdkafka_version() -> str:
    """The version of the C library inside confluent-kafka, for example ``2.12.1``."""
    import confluent_kafka

    return str(confluent_kafka.libversion()[0])
