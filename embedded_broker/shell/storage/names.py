"""Names of the folders of partition logs."""

from __future__ import annotations

from embedded_broker.shell.storage import files

PARTITION_MAX = (1 << 31) - 1


def stem(topic: str, partition: int) -> str:
    """The start of the name of a folder that was a log's."""
    return f"{topic[:180]}-{partition}"


def log_of(name: str) -> tuple[str, int] | None:
    """Return the (topic, partition) whose log has this folder name, or None."""
    topic, _, digits = name.rpartition("-")
    partition = files.natural(digits)
    if not topic or partition is None or str(partition) != digits or partition > PARTITION_MAX:
        return None
    return topic, partition
