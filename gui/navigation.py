"""Names the places of the window: one frozen class for each kind of place.

A page that has places of its own implements ``show_target`` and matches on those that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # 10 ms of imports that the first paint does not need
    from kafka_client.commands.groups import ResetSpec
    from kafka_client.model import ConfigResource


@dataclass(frozen=True, slots=True)
class PageTarget:
    """A page as it was left; ``page`` is the name of a ``gui.pages.PageSpec``."""

    page: str


@dataclass(frozen=True, slots=True)
class TopicTarget:
    """One topic; ``tab`` is a tab of its view, "" for the one that was last shown."""

    topic: str
    tab: str = ""


@dataclass(frozen=True, slots=True)
class NewTopicTarget:
    """The form for a new topic; None leaves a field at its default."""

    name: str = ""
    partitions: int | None = None
    replication_factor: int | None = None


@dataclass(frozen=True, slots=True)
class GroupTarget:
    """One consumer group; ``tab`` as for a topic."""

    group: str
    tab: str = ""


@dataclass(frozen=True, slots=True)
class ResetTarget:
    """The form that resets a group's offsets: of ``topic``, or of all its topics for ""."""

    group: str
    topic: str = ""
    spec: ResetSpec | None = None


@dataclass(frozen=True, slots=True)
class BrokerTarget:
    broker_id: int


@dataclass(frozen=True, slots=True)
class MessagesTarget:
    """The records of a topic, or of one partition, from an offset on where one is given."""

    topic: str
    partition: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class ProduceTarget:
    """The form that produces to a topic."""

    topic: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationTarget:
    resource: ConfigResource


Target: TypeAlias = (
    PageTarget
    | TopicTarget
    | NewTopicTarget
    | GroupTarget
    | ResetTarget
    | BrokerTarget
    | MessagesTarget
    | ProduceTarget
    | ConfigurationTarget
)


@runtime_checkable
class ShowsTargets(Protocol):
    """A page with places of its own; it may ignore a target that it does not know."""

    def show_target(self, target: Target) -> None: ...


class Navigate(Protocol):
    """Shows a target; ``in_tab`` opens it in a tab of its own. Scripts name a page and its place
    by keywords instead: ``navigate("topics", topic="orders")``."""

    def __call__(self, target: Target | str, in_tab: bool = False, **where: Any) -> None: ...


def page_of(target: Target) -> str:
    """The name of the page that shows it."""
    match target:
        case PageTarget(page):
            return page
        case TopicTarget() | NewTopicTarget():
            return "topics"
        case GroupTarget() | ResetTarget():
            return "groups"
        case BrokerTarget():
            return "brokers"
        case MessagesTarget() | ProduceTarget():
            return "messages"
        case ConfigurationTarget():
            return "configuration"


def title_of(target: Target) -> str:
    """Return the title of a tab with this target; "" for a whole page, which has a title."""
    match target:
        case TopicTarget(topic) | ProduceTarget(topic):
            return topic
        case NewTopicTarget(name):
            return name
        case GroupTarget(group) | ResetTarget(group):
            return group
        case BrokerTarget(broker_id):
            return f"Broker {broker_id}"
        case MessagesTarget(topic, partition):
            return topic if partition is None else f"{topic}-{partition}"
        case ConfigurationTarget(resource):
            return f"{resource.kind} {resource.name}"
        case PageTarget():
            return ""


def target_named(page: str, **where: Any) -> Target:
    """The target that keywords describe, for scripts. Raises: TypeError for an unknown keyword."""
    match page, where:
        case "topics", {"topic": str(topic), **rest} if topic:
            return TopicTarget(topic, **rest)
        case "topics", {"create": str(name), **rest}:
            return NewTopicTarget(
                name, _number(rest.get("partitions")), _number(rest.get("replication"))
            )
        case "groups", {"group": str(group), "reset": True}:
            return ResetTarget(group)
        case "groups", {"group": str(group), **rest} if group:
            return GroupTarget(group, **rest)
        case "brokers", {"broker": broker_id}:
            return BrokerTarget(int(broker_id))
        case "messages", {"topic": str(topic), "produce": True}:
            return ProduceTarget(topic)
        case "messages", {"topic": str(topic), **rest} if topic:
            return MessagesTarget(topic, **rest)
        case "configuration", {"kind": str(kind), "name": name}:
            return _settings_of(kind, str(name))
        case "configuration", {"topic": str(topic)}:
            return _settings_of("topic", topic)
        case "configuration", {"broker": broker_id}:
            return _settings_of("broker", str(broker_id))
        case "messages", {"produce": True}:
            return ProduceTarget()
        case _ if not any(where.values()):
            return PageTarget(page)
    raise TypeError(f"the page {page} has no place {', '.join(where)}")


def _number(value: object) -> int | None:
    return int(str(value)) if str(value).isdigit() else None


def _settings_of(kind: str, name: str) -> ConfigurationTarget:
    from kafka_client.model import ConfigResource

    return ConfigurationTarget(ConfigResource(kind, name))
