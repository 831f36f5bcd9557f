"""Which leader epoch wrote which part of a log (KIP-101, KIP-279): the base of
truncation and fencing.

Entries are (epoch, offset of its first record), ascending in both. A new leader records
its epoch at its end offset before it appends anything, so that the log also knows of
leaders that wrote nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from embedded_broker.core.ports import PartitionLog, StorageFailed

UNDEFINED = -1


class EpochCache:
    """The epochs of one log, written to its checkpoint file whenever they change."""

    def __init__(self, log: PartitionLog) -> None:
        self._log = log
        self._epochs: list[int] = []
        self._starts: list[int] = []
        """Parallel to ``_epochs``: the first offset of each."""
        loaded = log.load_epochs()
        for epoch, start in loaded:
            self._push(epoch, start)
        self._newest_loaded = self.latest
        self._drop_from(log.log_end_offset)
        self._saved = loaded
        """The entries in the file."""
        self.unsaved = False
        """Whether the file differs, after a save that failed."""
        self.save()

    @property
    def latest(self) -> int:
        """The newest epoch in the log; -1 when the log has none."""
        return self._epochs[-1] if self._epochs else UNDEFINED

    @property
    def newest_known(self) -> int:
        """Like ``latest``, but never older than the newest epoch in the file at the
        start, even if the log lost all records of it."""
        return max(self.latest, self._newest_loaded)

    @property
    def entries(self) -> list[tuple[int, int]]:
        """(epoch, start offset), ascending."""
        return list(zip(self._epochs, self._starts, strict=True))

    def assign(self, epoch: int, start_offset: int) -> None:
        """Record that ``epoch``, newer than all before it, starts at
        ``start_offset``.

        Raises:
            StorageFailed: nothing has changed.
        """
        if epoch == self.latest:
            return
        before = self._epochs.copy(), self._starts.copy()
        assert epoch > self.latest, (
            f"epoch {epoch} after {self.latest} in {self._log.topic}-{self._log.partition}"
        )
        self._drop_from(start_offset)
        self._push(epoch, start_offset)
        try:
            self.save()
        except StorageFailed:
            self._epochs, self._starts = before
            raise

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """Return (the largest epoch at or below ``epoch``, its end offset), or (-1, -1)
        when ``epoch`` is newer than the log.

        When the log starts after ``epoch``, return that epoch itself, ending where the
        log's first epoch starts.
        """
        if epoch < 0 or not self._epochs or epoch > self._epochs[-1]:
            return UNDEFINED, UNDEFINED
        if epoch == self._epochs[-1]:
            return epoch, log_end_offset
        after = bisect_right(self._epochs, epoch)
        return (self._epochs[after - 1] if after else epoch), self._starts[after]

    def epoch_at(self, offset: int) -> int:
        """Return the epoch that wrote ``offset``; -1 when unknown."""
        position = bisect_right(self._starts, offset) - 1
        return self._epochs[position] if position >= 0 else UNDEFINED

    def truncate_from_end(self, offset: int) -> None:
        """The log now ends at ``offset``: drop the epochs that start there or later.

        Raises:
            StorageFailed: they are dropped, but the file still has them; see ``save``.
        """
        self._drop_from(offset)
        self.save()

    def truncate_from_start(self, offset: int) -> None:
        """The log now starts at ``offset``: drop the epochs before it; the one that
        wrote ``offset`` now starts there.

        Raises:
            StorageFailed: as ``truncate_from_end``.
        """
        position = bisect_right(self._starts, offset) - 1
        if position < 0 or (position == 0 and self._starts[0] == offset):
            return
        del self._epochs[:position], self._starts[:position]
        self._starts[0] = offset
        self.save()

    def clear(self) -> None:
        """The log is empty now.

        Raises:
            StorageFailed: as ``truncate_from_end``.
        """
        self._epochs, self._starts = [], []
        self.save()

    def save(self) -> None:
        """Write the file unless it has these entries already.

        Called before an append too: after a truncation whose save failed, the file has epochs
        beyond the end of the log. They do no harm until records of another epoch stand there.

        Raises:
            StorageFailed: the file is as it was.
        """
        entries = self.entries
        self.unsaved = entries != self._saved
        if self.unsaved:
            self._log.save_epochs(entries)
            self._saved, self.unsaved = entries, False

    def _push(self, epoch: int, start: int) -> None:
        assert epoch > self.latest and (not self._starts or start >= self._starts[-1]), (
            self.entries,
            epoch,
            start,
        )
        self._epochs.append(epoch)
        self._starts.append(start)

    def _drop_from(self, offset: int) -> bool:
        before = len(self._starts)
        while self._starts and self._starts[-1] >= offset:
            self._starts.pop()
            self._epochs.pop()
        return len(self._starts) != before


def checked_epochs(
    log: PartitionLog, entries: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int]]:
    """Return the ``entries`` of a checkpoint that the batches of the log agree with, else the
    epochs of the batches: the file is not flushed, and may come from a backup. Of a log without
    batches nothing is believed: an old file of one whose records are all deleted would say that a
    consumer of the last of them has read another history.

    Raises:
        LogDamaged: headers of the log cannot be read.
    """
    start, end = log.log_start_offset, log.log_end_offset
    if start == end:
        return []
    kept = [entry for entry in entries or () if entry[1] <= end]
    if entries is None or not _agree(log, kept):
        kept = []
        for header in log.headers(start):
            if not kept or header.leader_epoch > kept[-1][0]:
                kept.append((header.leader_epoch, max(header.base_offset, start)))
    # Epochs that ended before the log start have no batch any more.
    while len(kept) > 1 and kept[1][1] <= start:
        kept.pop(0)
    return kept


def _agree(log: PartitionLog, entries: list[tuple[int, int]]) -> bool:
    """Return whether the batches have these epochs. Since the epochs of a log only rise, the first
    and the last batch of each entry decide."""
    log_start, end = log.log_start_offset, log.log_end_offset
    # An entry at the end is of a leader that wrote nothing.
    within = [(epoch, max(start, log_start)) for epoch, start in entries if start < end]
    if not within or within[0][1] > log_start:
        return False
    ends = [start for _, start in within[1:]] + [end]
    for (epoch, start), stop in zip(within, ends, strict=True):
        if start >= stop:  # ended before the log start, or wrote nothing
            continue
        first, last = next(log.headers(start)), next(log.headers(stop - 1))
        if not first.leader_epoch == last.leader_epoch == epoch:
            return False
        if start > log_start and first.base_offset != start:
            return False
    return True
