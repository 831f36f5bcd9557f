"""Which value a setting has at this moment, and where it comes from (KIP-226).

A broker's setting: set for this broker > set for all brokers > the file > the default. A topic's:
set for the topic > the broker settings that stand in for it > the default. What was set at run
time is in the metadata image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from embedded_broker.core.metadata.image import BROKER, TOPIC, MetadataImage
from embedded_broker.options import OPTIONS, TOPIC_OPTIONS, Dynamic, Option, SettingError, Settings
from embedded_broker.options.settings import milliseconds
from kafka_protocol.constants import ConfigSource


class Found(NamedTuple):
    """One place that gives a setting a value. ``name`` may be a synonym's; ``value`` is in its
    own unit."""

    name: str
    value: Any
    source: ConfigSource


class Entry(NamedTuple):
    """A setting as DescribeConfigs tells it. ``value`` is None for what is secret or not set."""

    option: Option
    value: str | None
    source: ConfigSource
    read_only: bool
    synonyms: list[tuple[str, str | None, ConfigSource]]


class Config:
    """Typed effective values of one node; ``cached`` keeps them until the image's version
    changes."""

    def __init__(self, settings: Settings, image: MetadataImage, cached: bool = True) -> None:
        self._settings = settings
        self._image = image
        self._cached = cached
        self._version = -1
        self._broker: dict[str, Any] = {}
        self._topic: dict[tuple[str, str], Any] = {}

    def broker(self, name: str) -> Any:
        """This broker's effective value; times that may be given in hours or minutes too are in
        ms."""
        self._refresh()
        try:
            return self._broker[name]
        except KeyError:
            value = self._broker_value(name)
            if self._cached:
                self._broker[name] = value
            return value

    def topic(self, topic: str, name: str) -> Any:
        """A topic's effective value, also of a topic that does not exist yet."""
        self._refresh()
        key = (topic, name)
        try:
            return self._topic[key]
        except KeyError:
            found = next(self._topic_places(topic, TOPIC_OPTIONS[name]))
            option = (
                TOPIC_OPTIONS.get(found.name)
                if found.source is ConfigSource.TOPIC
                else OPTIONS.get(found.name)
            )
            value = found.value if option is None else milliseconds(option, found.value)
            if self._cached:
                self._topic[key] = value
            return value

    def durable(self, topic: str) -> bool:
        """Whether this topic's records are on the disk before they are acknowledged."""
        return bool(self.broker("log.durable")) or self.topic(topic, "flush.messages") == 1

    def describe_topic(self, topic: str) -> list[Entry]:
        entries = []
        for option in TOPIC_OPTIONS.values():
            places = list(self._topic_places(topic, option))
            value = self.topic(topic, option.name)
            entries.append(self._entry(option, option.show(value), places, read_only=False))
        return entries

    def describe_broker(self) -> list[Entry]:
        entries = []
        for option in OPTIONS.values():
            places = list(self._broker_places(option, unset=True))
            value = self.broker(option.name) if option.unit == "ms" else places[0].value
            entries.append(
                self._entry(option, option.show(value), places, option.dynamic is Dynamic.NO)
            )
        return entries

    def describe_cluster_defaults(self) -> list[Entry]:
        """Only what was set for all brokers at run time."""
        entries = []
        for name, text in sorted(self._image.configs.get((BROKER, ""), {}).items()):
            option = OPTIONS.get(name)
            if option is not None:
                shown = None if option.sensitive else text
                entries.append(
                    Entry(
                        option,
                        shown,
                        ConfigSource.CLUSTER,
                        False,
                        [(name, shown, ConfigSource.CLUSTER)],
                    )
                )
        return entries

    def _refresh(self) -> None:
        if self._version != self._image.version:
            self._version = self._image.version
            self._broker.clear()
            self._topic.clear()

    def _broker_value(self, name: str) -> Any:
        option = OPTIONS[name]
        found = next(self._broker_places(option), None)
        if found is None:
            return option.default
        return milliseconds(OPTIONS[found.name], found.value) if found.name != name else found.value

    def _broker_places(self, option: Option, unset: bool = False) -> Iterator[Found]:
        """Where a broker's setting has a value, the strongest first; the synonyms' after its own.
        With ``unset`` an empty default counts, so that there is always one."""
        some = False
        for name in (option.name, *option.synonyms):
            for found in self._own_places(OPTIONS[name]):
                some = True
                yield found
        if unset and not some:
            yield Found(option.name, None, ConfigSource.DEFAULT)

    def _own_places(self, option: Option) -> Iterator[Found]:
        name = option.name
        for resource, source in (
            (str(self._settings.node_id), ConfigSource.BROKER),
            ("", ConfigSource.CLUSTER),
        ):
            text = self._image.configs.get((BROKER, resource), {}).get(name)
            if text is not None:
                with suppress(SettingError):
                    yield Found(name, option.parse(text), source)
        if name in self._settings:
            yield Found(name, self._settings[name], ConfigSource.FILE)
        if option.default is not None:
            yield Found(name, option.default, ConfigSource.DEFAULT)

    def _topic_places(self, topic: str, option: Option) -> Iterator[Found]:
        text = self._image.configs.get((TOPIC, topic), {}).get(option.name)
        if text is not None:
            with suppress(
                SettingError
            ):  # written by another version of this program; the next place counts
                yield Found(option.name, option.parse(text), ConfigSource.TOPIC)
        some = False
        for name in option.synonyms:
            for found in self._own_places(OPTIONS[name]):
                some = True
                yield found
        if not some:
            yield Found(option.name, option.default, ConfigSource.DEFAULT)

    def _entry(
        self, option: Option, value: str | None, places: list[Found], read_only: bool
    ) -> Entry:
        def shown(found: Found) -> str | None:
            place = (
                TOPIC_OPTIONS[found.name] if found.name in TOPIC_OPTIONS else OPTIONS[found.name]
            )
            return None if place.sensitive else place.show(found.value)

        synonyms = [(found.name, shown(found), found.source) for found in places]
        return Entry(
            option, None if option.sensitive else value, places[0].source, read_only, synonyms
        )
