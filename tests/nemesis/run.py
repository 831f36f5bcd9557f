"""A loaded cluster from its start to the check of its history; scenarios and the nemesis use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.nemesis import load
from tests.nemesis.brokers import Brokers, wait_until
from tests.nemesis.history import History, violations
from tests.nemesis.namespaces import Namespaces

WARM_UP_RECORDS = 200
GROUP_BACK_S = 30.0
"""Members rejoin within a session, read what they missed, and commit."""
EXIT_BUG = "stopping because of an internal error"


@dataclass
class Run:
    """A cluster with its clients."""

    brokers: Brokers
    network: Namespaces
    history: History
    writer: load.Writer
    members: list[load.Member]

    def group_is_complete(self) -> bool:
        """Return whether every member has partitions, and no partition is left."""
        assigned = [member.assigned for member in self.members]
        return all(assigned) and sum(assigned) == load.PARTITIONS

    def group_has_read_all(self) -> bool:
        """Return whether the group has read every acknowledged record."""
        sent = {(e.partition, e.offset) for e in self.history.of("send")}
        return sent <= {(e.partition, e.offset) for e in self.history.of("read")}

    def fault(self, text: str) -> None:
        """Record a fault in the history, so that its reader sees what happened when."""
        self.history.add("nemesis", "fault", "ok", text=text)


@contextmanager
def loaded_cluster(
    folder: Path,
    settings: dict[str, str] | None = None,
    small_disk: int = 0,
    members: int = 2,
) -> Iterator[Run]:
    """Three brokers under load. After the block the cluster must become whole, and its records,
    read back with two clients, and its committed offsets must agree with the history."""
    history = History()
    with Namespaces(3) as network, Brokers(folder, network, settings, small_disk) as brokers:
        load.create_topic(brokers.bootstrap_servers)
        brokers.wait_until_whole()
        writer = load.Writer(brokers.bootstrap_servers, history)
        group = [
            load.Member(brokers.bootstrap_servers, history, f"member-{i}") for i in range(members)
        ]
        run = Run(brokers, network, history, writer, group)
        stopped = False
        try:
            writer.wait_for_acknowledgements(WARM_UP_RECORDS)
            wait_until(run.group_is_complete, 20, "the group has not assigned every partition")
            yield run
            brokers.wait_until_whole(40)
            writer.wait_for_acknowledgements()
            writer.stop()
            wait_until(run.group_has_read_all, GROUP_BACK_S, "the group does not read on")
            stopped = True
            _stop_clients(run)
            check(run)
        except BaseException:
            history.write(folder / "history.jsonl")
            raise
        finally:
            if not stopped:
                _stop_clients(run)


def _stop_clients(run: Run) -> None:
    run.writer.stop()
    for member in run.members:
        member.stop()


def check(run: Run) -> None:
    """Check the history and the brokers' logs."""
    bootstrap = run.brokers.bootstrap_servers
    assert run.writer.left == 0
    stored = load.read_back(bootstrap)
    assert load.read_back_with_kafka_python(bootstrap, stored) == stored
    broken = violations(run.history, stored, load.committed_offsets(bootstrap))
    assert not broken, "\n".join(broken)
    for i in run.brokers.ids:
        assert EXIT_BUG not in run.brokers.log(i), run.brokers.log(i)[-3000:]
