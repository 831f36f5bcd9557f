"""Makes a plan from the text of a command, for the undo commands in the journal.

Only what ``Plan.undo`` can write is understood: ``kafka-configs.sh --alter``, one command a line,
and ``kafka-consumer-groups.sh --reset-offsets --from-file`` after the lines that write its file.
The plan is made from what the cluster says now, so that its left column is true and nothing is
taken back twice.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from kafka_client.api import ClusterReader
from kafka_client.commands.configs import change_configs
from kafka_client.commands.groups import plan_offsets
from kafka_client.commands.plan import Plan
from kafka_client.errors import BadInput
from kafka_client.model import ConfigChange, ConfigResource, TopicPartition

CONFIGS, GROUPS = "kafka-configs", "kafka-consumer-groups"
HIDDEN = "…"
"""Stands for a secret value in a command that was written by ``commands.configs``."""

Options = dict[str, list[str]]

_WITH_FILE = re.compile(r"cat > \S+ <<'END'\n(?P<body>.*)\nEND\n(?P<command>[^\n]*)", re.S)
"""What ``commands.plan.with_file`` writes."""
_OFFSET_LINE = re.compile(r"(?P<topic>[\w.-]+),(?P<partition>\d{1,9}),(?P<offset>\d{1,18})")


async def plan_from_command(client: ClusterReader, text: str, bootstrap: str) -> Plan:
    """Raises: BadInput for a command that is not understood, or whose plan would change nothing;
    ClientError when the cluster could not be asked."""
    match _change_of(text):
        case list() as changes:
            resources = list(dict.fromkeys(change.resource for change in changes))
            return change_configs(await client.configs(resources), changes, bootstrap)
        case group, offsets:
            return await plan_offsets(client, group, offsets, bootstrap)


def can_plan(text: str) -> bool:
    """Return whether ``plan_from_command`` understands it; asks no cluster."""
    try:
        _change_of(text)
    except BadInput:
        return False
    return True


def _change_of(text: str) -> list[ConfigChange] | tuple[str, dict[TopicPartition, int]]:
    """The settings that the commands change, or a group and its offsets. Raises: BadInput."""
    file: list[str] = []
    if written := _WITH_FILE.fullmatch(text.strip()):
        file, text = written["body"].splitlines(), written["command"]
    lines = [_parsed(line) for line in text.splitlines() if line.strip()]
    tools = [tool for tool, _ in lines]
    if tools == [GROUPS]:
        return _group_offsets(lines[0][1], file)
    if tools and set(tools) == {CONFIGS} and not file:
        changes = [change for _, options in lines for change in _config_changes(options)]
        if changes:
            return changes
    raise _not_understood(text)


def _parsed(line: str) -> tuple[str, Options]:
    """(tool, options) of one command; an option given several times has several values."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise _not_understood(line) from error
    tool = words[0].removesuffix(".sh") if words else ""
    options: Options = {}
    name = ""
    for word in words[1:]:
        if word.startswith("--"):
            name = word[2:]
            options.setdefault(name, [])
        elif name:
            options[name].append(word)
        else:
            raise _not_understood(line)
    return tool, options


def _config_changes(options: Options) -> Iterator[ConfigChange]:
    kind = _one(options, "entity-type").removesuffix("s")
    if "alter" not in options or kind not in ("topic", "broker"):
        raise _not_understood("kafka-configs.sh")
    name = "" if "entity-default" in options else _one(options, "entity-name")
    resource = ConfigResource(kind, name)
    for setting in _split_outside_brackets(",".join(options.get("add-config", []))):
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise _not_understood(f"--add-config {setting}")
        if value == HIDDEN:
            raise BadInput(f"The value of {key} is a secret and was not kept.")
        yield ConfigChange(resource, key, re.sub(r"^\[(.*)\]$", r"\1", value, flags=re.S))
    for key in ",".join(options.get("delete-config", [])).split(","):
        if key:
            yield ConfigChange(resource, key, None)


def _split_outside_brackets(text: str) -> list[str]:
    """``a=1,b=[2,3]`` -> ``a=1``, ``b=[2,3]``."""
    return [part for part in re.split(r",(?![^\[\]]*\])", text) if part]


def _group_offsets(options: Options, file: Sequence[str]) -> tuple[str, dict[TopicPartition, int]]:
    if "reset-offsets" not in options or "from-file" not in options or not file:
        raise _not_understood("kafka-consumer-groups.sh")
    offsets: dict[TopicPartition, int] = {}
    for line in file:
        match = _OFFSET_LINE.fullmatch(line)
        if match is None:
            raise _not_understood(line)
        offsets[match["topic"], int(match["partition"])] = int(match["offset"])
    return _one(options, "group"), offsets


def _one(options: Options, name: str) -> str:
    values = options.get(name, [])
    if len(values) != 1:
        raise _not_understood(f"--{name}")
    return values[0]


def _not_understood(text: str) -> BadInput:
    shown = text if len(text) <= 80 else text[:79] + "…"
    return BadInput(
        f"Kafkarium cannot make a plan from “{shown}”.",
        next_step="Copy the command and run it with Kafka's own tools.",
    )
