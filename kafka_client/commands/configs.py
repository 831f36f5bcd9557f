"""Plans that change settings of brokers and topics; undone by setting the previous values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kafka_client.api import ClusterClient
from kafka_client.commands.plan import Plan, PlanRow, command_line
from kafka_client.errors import BadInput
from kafka_client.model import ConfigChange, ConfigEntry, ConfigResource, ConfigSource
from resources.wording import counted

Current = Mapping[ConfigResource, Sequence[ConfigEntry]]
"""The settings as they were read last."""

RANGES = {
    "int": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "long": (-(2**63), 2**63 - 1),
}
CLUSTER_DEFAULT = ConfigResource("broker", "")
OWN_SOURCES = {"topic": ConfigSource.TOPIC, "broker": ConfigSource.BROKER}
HIDDEN = "hidden"
SECRET_ENDINGS = (".password", ".secret", ".jaas.config", ".keystore.key", ".private.key")


def check_value(entry: ConfigEntry, value: str) -> str:
    """Why this value does not fit the type of the setting, as a sentence; empty when it does. The
    cluster may refuse it all the same."""
    text = value.strip()
    if entry.kind == "boolean" and text not in ("true", "false"):
        return "Either true or false."
    if entry.kind in RANGES:
        low, high = RANGES[entry.kind]
        try:
            number = int(text)
        except ValueError:
            return "A whole number."
        if not low <= number <= high:
            return f"From {low:,} to {high:,}."
    if entry.kind == "double":
        try:
            float(text)
        except ValueError:
            return "A number."
    return ""


def describe_resource(resource: ConfigResource) -> str:
    """``broker 1``, ``all brokers``, ``topic orders``."""
    if resource == CLUSTER_DEFAULT:
        return "all brokers"
    return f"{resource.kind} {resource.name}"


def change_configs(current: Current, changes: Sequence[ConfigChange], bootstrap: str) -> Plan:
    """Several edits as one plan.

    Raises: BadInput for a value of the wrong type, or a setting that cannot be changed while the
    broker runs.
    """
    entries = {(r, e.name): e for r, in_resource in current.items() for e in in_resource}
    for change in changes:
        _check(change, entries.get((change.resource, change.name)))
    secret = any(_is_secret(c.name, entries.get((c.resource, c.name))) for c in changes)
    previous = [_previous(c, entries.get((c.resource, c.name))) for c in changes]

    async def send(client: ClusterClient) -> str:
        await client.alter_configs(list(changes))
        return f"{counted(len(changes), 'setting')} changed."

    def undo() -> Plan:
        return change_configs(_after(current, changes), previous, bootstrap)

    what = changes[0].name if len(changes) == 1 else counted(len(changes), "setting")
    warnings = []
    if any(change.resource.kind == "broker" for change in changes):
        warnings.append("Settings of brokers take effect at once and outlive a restart.")
    return Plan(
        title=f"Change {what}",
        verb="Apply",
        rows=tuple(_row(c, entries.get((c.resource, c.name))) for c in changes),
        command="\n".join(_commands(changes, current, bootstrap)),
        send=send,
        warnings=tuple(warnings),
        # Kafka never returns the value of a secret, so it cannot be set again.
        undo=None if secret else undo,
    )


def _check(change: ConfigChange, entry: ConfigEntry | None) -> None:
    if entry is None:
        return
    if entry.read_only:
        raise BadInput(
            f"{change.name} cannot be changed while the broker runs; set it in server.properties."
        )
    wrong = "" if change.value is None else check_value(entry, change.value)
    if wrong:
        raise BadInput(f"{change.name}: {wrong}")


def _is_secret(name: str, entry: ConfigEntry | None) -> bool:
    """Return whether the value must not be shown. Without its entry a setting is judged by its
    name."""
    if entry is not None:
        return entry.sensitive or entry.kind == "password"
    return name.endswith(SECRET_ENDINGS)


def _row(change: ConfigChange, entry: ConfigEntry | None) -> PlanRow:
    old = "" if entry is None else entry.value or ""
    new = "the default" if change.value is None else change.value
    if _is_secret(change.name, entry):
        old = "" if entry is None else HIDDEN
        new = new if change.value is None else HIDDEN
    return PlanRow(f"{change.name}, {describe_resource(change.resource)}", old, new)


def _previous(change: ConfigChange, entry: ConfigEntry | None) -> ConfigChange:
    """The change that restores the previous state: the value if it was set on this very resource,
    else a reset to what the resource inherits."""
    own = (
        ConfigSource.CLUSTER
        if change.resource == CLUSTER_DEFAULT
        else OWN_SOURCES[change.resource.kind]
    )
    was_set_here = entry is not None and entry.source is own
    return replace(change, value=entry.value if entry is not None and was_set_here else None)


def _after(current: Current, changes: Sequence[ConfigChange]) -> Current:
    """The settings after the changes, as the undo plan shows them."""
    by_name = {(c.resource, c.name): c for c in changes}
    after: dict[ConfigResource, list[ConfigEntry]] = {}
    for resource, entries in current.items():
        own = OWN_SOURCES[resource.kind] if resource.name else ConfigSource.CLUSTER
        after[resource] = []
        for entry in entries:
            change = by_name.get((resource, entry.name))
            if change is not None:
                value = change.value if change.value is not None else entry.default
                entry = replace(entry, value=value, source=own)
            after[resource].append(entry)
    return after


def _commands(changes: Sequence[ConfigChange], current: Current, bootstrap: str) -> list[str]:
    """One command line per resource; the tool takes no more."""
    lines = []
    for resource in dict.fromkeys(c.resource for c in changes):
        entries = {e.name: e for e in current.get(resource, ())}
        mine = [c for c in changes if c.resource == resource]
        additions = ",".join(
            f"{c.name}={'…' if _is_secret(c.name, entries.get(c.name)) else _quoted(c.value)}"
            for c in mine
            if c.value is not None
        )
        deletions = ",".join(c.name for c in mine if c.value is None)
        arguments = ["--alter", "--entity-type", f"{resource.kind}s"]
        arguments += ["--entity-name", resource.name] if resource.name else ["--entity-default"]
        arguments += ["--add-config", additions] if additions else []
        arguments += ["--delete-config", deletions] if deletions else []
        lines.append(command_line("kafka-configs", bootstrap, *arguments))
    return lines


def _quoted(value: str) -> str:
    """The tool splits at commas; a value that has one stands in square brackets."""
    return f"[{value}]" if "," in value else value
