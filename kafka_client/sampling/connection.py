"""Judge the connection from a snapshot: which brokers are reachable, and one sentence for the
whole. Pure functions of the snapshot."""

from __future__ import annotations

from collections.abc import Collection

from kafka_client.model import ClusterSnapshot, Datum, Sampled
from kafka_client.sampling.state import ConnectionKind
from resources.wording import numbered, verb


def failed_brokers(snapshot: ClusterSnapshot) -> dict[int, str]:
    """The error of each broker that failed in the last round of any kind of datum."""
    errors: dict[int, str] = {}
    for sampled in snapshot.sampled.values():
        for subject, error in sampled.subject_errors.items():
            kind, _, number = subject.partition(" ")
            if kind == "broker" and number.isdigit():
                errors.setdefault(int(number), error)
    return errors


def reachability(
    snapshot: ClusterSnapshot, answered: Collection[int]
) -> dict[int, dict[str, object]]:
    """The fields ``reachable`` and ``error`` of every broker. ``answered``: the brokers that
    answered a request lately."""
    failed = failed_brokers(snapshot)
    fields: dict[int, dict[str, object]] = {}
    for broker_id, broker in snapshot.brokers.items():
        if not broker.in_cluster and not broker.fenced:
            fields[broker_id] = {"reachable": False}
        elif broker_id in failed:
            fields[broker_id] = {"reachable": False, "error": failed[broker_id]}
        elif broker_id in answered:
            fields[broker_id] = {"reachable": True, "error": ""}
        else:
            # Not asked lately: reachable if it was, unknown if it was not.
            was_reachable = broker.reachable and not broker.error
            fields[broker_id] = {"reachable": was_reachable or None, "error": ""}
    return fields


def connection(snapshot: ClusterSnapshot) -> tuple[ConnectionKind, str]:
    """The state of a connection whose metadata is fresh, with a sentence for people: degraded when
    a broker or a kind of datum fails. A cluster without KRaft has no quorum; that is no failure.
    """
    unreachable = sorted(b for b, broker in snapshot.brokers.items() if broker.reachable is False)
    if unreachable:
        error = snapshot.brokers[unreachable[0]].error
        return ConnectionKind.DEGRADED, _answer_text(snapshot, unreachable, error)
    fenced = sorted(b for b, broker in snapshot.brokers.items() if broker.fenced)
    if fenced:
        are = verb(len(fenced))
        return (
            ConnectionKind.DEGRADED,
            f"{numbered('Broker', fenced)} {are} fenced: out of service.",
        )
    failures = [
        f"Cannot read {datum.value}: {sampled.error}"
        for datum, sampled in sorted(snapshot.sampled.items())
        if sampled.error and not _is_unsupported(datum, sampled)
    ]
    if failures:
        return ConnectionKind.DEGRADED, failures[0]
    return ConnectionKind.CONNECTED, _answer_text(snapshot, [], "")


def _is_unsupported(datum: Datum, sampled: Sampled) -> bool:
    return datum is Datum.QUORUM and sampled.at_s is None


def _answer_text(snapshot: ClusterSnapshot, unreachable: list[int], error: str) -> str:
    total, count = len(snapshot.brokers), len(snapshot.brokers) - len(unreachable)
    if not unreachable:
        return "The broker answers." if total == 1 else f"All {total} brokers answer."
    brokers = numbered("Broker", unreachable)
    if count == 0 and total == 1:
        return f"The broker does not answer: {error}"
    does = verb(len(unreachable), "does", "do")
    return (
        f"{count} of {total} brokers {verb(count, 'answers', 'answer')}. "
        f"{brokers} {does} not: {error}"
    )
