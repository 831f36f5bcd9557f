"""Plans that change settings of brokers and topics; undone by setting what was there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kafka_client.api import ClusterClient
from kafka_client.commands.plan import Plan, PlanRow, command_line
from kafka_client.errors import BadInput
from kafka_client.model import ConfigChange, ConfigEntry, ConfigResource, ConfigSource
from kafka_client.wording import counted

Current = Mapping[ConfigResource, Sequence[ConfigEntry]]
RANGES = {
    "int": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "long": (-(2**63), 2**63 - 1),
}
SECRET_ENDINGS = (".password", ".secret", ".jaas.config", ".keystore.key", ".private.key")
OWN = {"topic": ConfigSource.TOPIC, "broker": ConfigSource.BROKER}


def check_value(entry: ConfigEntry, value: str) -> str:
    """Why this value cannot be right for the setting's type, as a sentence; empty when it can.
    The cluster has the last word."""
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
    if resource.kind == "broker":
        return f"broker {resource.name}" if resource.name else "all brokers"
    return f"topic {resource.name}"


def _is_secret(name: str, entry: ConfigEntry | None) -> bool:
    """Whether the value must not be shown. A setting whose entry is not known is judged by its
    name, since its value may be on the way into a log or a file."""
    if entry is not None:
        return entry.sensitive or entry.kind == "password"
    return name.endswith(SECRET_ENDINGS)


def _set_here(resource: ConfigResource, entry: ConfigEntry | None) -> bool:
    """Whether the value was set on this very resource, so that undoing means setting it again."""
    if entry is None:
        return False
    own = ConfigSource.CLUSTER if resource == ConfigResource("broker", "") else OWN[resource.kind]
    return entry.source is own


def change_configs(current: Current, changes: Sequence[ConfigChange], bootstrap: str) -> Plan:
    """Several edits as one plan.

    Raises: BadInput for a value of the wrong type, or a setting that cannot be changed while the
    broker runs.
    """
    rows, undo_changes, sensitive = [], [], False
    for change in changes:
        entry = next((e for e in current.get(change.resource, ()) if e.name == change.name), None)
        if entry is not None and entry.read_only:
            raise BadInput(
                f"{change.name} cannot be changed while the broker runs; set it in server.properties."
            )
        wrong = (
            check_value(entry, change.value)
            if entry is not None and change.value is not None
            else ""
        )
        if wrong:
            raise BadInput(f"{change.name}: {wrong}")
        hidden = _is_secret(change.name, entry)
        sensitive = sensitive or hidden
        old = "" if entry is None else "hidden" if hidden else entry.value or ""
        new = "hidden" if hidden else change.value
        rows.append(
            PlanRow(
                f"{change.name}, {describe_resource(change.resource)}",
                old,
                "the default" if new is None else new,
            )
        )
        before = entry.value if entry is not None and _set_here(change.resource, entry) else None
        undo_changes.append(ConfigChange(change.resource, change.name, before))

    async def send(client: ClusterClient) -> str:
        await client.alter_configs(list(changes))
        return f"{counted(len(changes), 'setting')} changed."

    title = (
        f"Change {changes[0].name}"
        if len(changes) == 1
        else f"Change {counted(len(changes), 'setting')}"
    )
    brokers = [c for c in changes if c.resource.kind == "broker"]
    return Plan(
        title=title,
        verb="Apply",
        rows=tuple(rows),
        command="\n".join(_commands(changes, current, bootstrap)),
        send=send,
        warnings=("Broker settings take effect at once and outlive a restart.",) if brokers else (),
        undo=None
        if sensitive
        else lambda: change_configs(_after(current, changes), undo_changes, bootstrap),
    )


def _after(current: Current, changes: Sequence[ConfigChange]) -> Current:
    """The settings as they are once the changes are made, for the undo plan's left column."""
    made = {(c.resource, c.name): c for c in changes}
    after: dict[ConfigResource, list[ConfigEntry]] = {}
    for resource, entries in current.items():
        after[resource] = []
        for e in entries:
            change = made.get((resource, e.name))
            if change is None:
                after[resource].append(e)
                continue
            source = OWN[resource.kind] if resource.name else ConfigSource.CLUSTER
            value = change.value if change.value is not None else e.default
            after[resource].append(
                ConfigEntry(
                    e.name, value, source, e.read_only, e.sensitive, e.kind, e.text, e.default
                )
            )
    return after


def _commands(changes: Sequence[ConfigChange], current: Current, bootstrap: str) -> list[str]:
    lines = []
    for resource in dict.fromkeys(c.resource for c in changes):
        mine = [c for c in changes if c.resource == resource]
        entries = {e.name: e for e in current.get(resource, ())}
        adds = ",".join(
            f"{c.name}={'…' if _is_secret(c.name, entries.get(c.name)) else c.value}"
            for c in mine
            if c.value is not None
        )
        deletes = ",".join(c.name for c in mine if c.value is None)
        where = ["--entity-type", f"{resource.kind}s"]
        where += ["--entity-name", resource.name] if resource.name else ["--entity-default"]
        arguments = ["--alter", *where]
        arguments += ["--add-config", adds] if adds else []
        arguments += ["--delete-config", deletes] if deletes else []
        lines.append(command_line("kafka-configs", bootstrap, *arguments))
    return lines
