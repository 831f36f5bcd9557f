"""The effective value of each setting, and where it comes from (KIP-226).

Precedence of a broker setting: set for this broker > set for all brokers > the file >
the default. Of a topic setting: set for the topic > the broker settings that are its
synonyms > the default. Settings made at run time are in the metadata image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from embedded_broker.core.metadata.image import BROKER, TOPIC, MetadataImage
from embedded_broker.options import OPTIONS, TOPIC_OPTIONS, Dynamic, Option, SettingError, Settings
from embedded_broker.options.settings import milliseconds
from kafka_protocol.constants import ConfigSource

DESCRIBED_MAX = 1_000
"""Different settings of topics whose descriptions are kept."""


class SourcedValue(NamedTuple):
    """A value that one source gives a setting. ``name`` may be a synonym's; ``value``
    is in the unit of ``name``."""

    name: str
    value: Any
    source: ConfigSource


class Entry(NamedTuple):
    """A setting as DescribeConfigs reports it. ``value`` is None when it is secret or
    not set."""

    option: Option
    value: str | None
    source: ConfigSource
    read_only: bool
    synonyms: list[tuple[str, str | None, ConfigSource]]
    """(name, value as text, source) of every source, strongest first."""


class Config:
    """Typed effective values of one node, cached until the image's version changes."""

    def __init__(self, settings: Settings, image: MetadataImage) -> None:
        self._settings = settings
        self._image = image
        self._version = -1
        """The image version that the caches belong to."""
        self._broker: dict[str, Any] = {}
        self._topic: dict[tuple[str, str], Any] = {}
        self._described: dict[tuple[tuple[str, str], ...], list[Entry]] = {}
        """By the settings that topics have of their own."""

    def broker(self, name: str) -> Any:
        """Return this broker's effective value. Times that can also be set in hours or
        minutes are in ms."""
        self._refresh()
        try:
            return self._broker[name]
        except KeyError:
            value = self._broker[name] = self._broker_value(name)
            return value

    def topic(self, topic: str, name: str) -> Any:
        """Return a topic's effective value, also for a topic that does not exist
        yet."""
        self._refresh()
        key = (topic, name)
        try:
            return self._topic[key]
        except KeyError:
            own = self._image.configs.get((TOPIC, topic), {})
            value = _topic_value(next(self._topic_sources(own, TOPIC_OPTIONS[name])))
            self._topic[key] = value
            return value

    def durable(self, topic: str) -> bool:
        """Return whether this topic's records are flushed to disk before they are
        acknowledged."""
        return bool(self.broker("log.durable")) or self.topic(topic, "flush.messages") == 1

    def describe_topic(self, topic: str) -> Sequence[Entry]:
        """All settings of a topic."""
        return self.describe_new_topic(self._image.configs.get((TOPIC, topic), {}))

    def describe_new_topic(self, own: Mapping[str, str]) -> Sequence[Entry]:
        """All settings that a topic has with these of its own. Topics with the same ones, which
        are nearly all, share the result."""
        self._refresh()
        key = tuple(sorted(own.items()))
        entries = self._described.get(key)
        if entries is None:
            entries = [self._topic_entry(option, own) for option in TOPIC_OPTIONS.values()]
            if len(self._described) >= DESCRIBED_MAX:
                self._described.clear()
            self._described[key] = entries
        return entries

    def _topic_entry(self, option: Option, own: Mapping[str, str]) -> Entry:
        sources = list(self._topic_sources(own, option))
        value = _topic_value(sources[0])
        return self._entry(option, option.show(value), sources, read_only=False)

    def describe_broker(self) -> list[Entry]:
        """All settings of this broker."""
        entries = []
        for option in OPTIONS.values():
            sources = list(self._broker_sources(option, unset=True))
            value = self.broker(option.name) if option.unit == "ms" else sources[0].value
            entries.append(
                self._entry(option, option.show(value), sources, option.dynamic is Dynamic.NO)
            )
        return entries

    def describe_cluster_defaults(self) -> list[Entry]:
        """The settings that were set for all brokers at run time."""
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
            self._described.clear()

    def _broker_value(self, name: str) -> Any:
        option = OPTIONS[name]
        strongest = next(self._broker_sources(option), None)
        if strongest is None:
            return option.default
        if strongest.name == name:
            return strongest.value
        return milliseconds(OPTIONS[strongest.name], strongest.value)

    def _broker_sources(self, option: Option, unset: bool = False) -> Iterator[SourcedValue]:
        """Yield the values of a broker setting, strongest first; its synonyms' after
        its own. With ``unset`` an empty default counts, so that there is at least
        one."""
        some = False
        for name in (option.name, *option.synonyms):
            for sourced in self._own_sources(OPTIONS[name]):
                some = True
                yield sourced
        if unset and not some:
            yield SourcedValue(option.name, None, ConfigSource.DEFAULT)

    def _own_sources(self, option: Option) -> Iterator[SourcedValue]:
        """Yield the values of a broker setting under its own name, strongest first."""
        name = option.name
        for resource, source in (
            (str(self._settings.node_id), ConfigSource.BROKER),
            ("", ConfigSource.CLUSTER),
        ):
            text = self._image.configs.get((BROKER, resource), {}).get(name)
            if text is not None:
                # A value that another version of this program wrote may not parse here:
                # the next source counts.
                with suppress(SettingError):
                    yield SourcedValue(name, option.parse(text), source)
        if name in self._settings:
            yield SourcedValue(name, self._settings[name], ConfigSource.FILE)
        if option.default is not None:
            yield SourcedValue(name, option.default, ConfigSource.DEFAULT)

    def _topic_sources(self, own: Mapping[str, str], option: Option) -> Iterator[SourcedValue]:
        """Yield the values of a setting of a topic with these settings of its own, strongest
        first; at least one."""
        text = own.get(option.name)
        if text is not None:
            with suppress(SettingError):  # as in _own_sources
                yield SourcedValue(option.name, option.parse(text), ConfigSource.TOPIC)
        some = False
        for name in option.synonyms:
            for sourced in self._own_sources(OPTIONS[name]):
                some = True
                yield sourced
        if not some:
            yield SourcedValue(option.name, option.default, ConfigSource.DEFAULT)

    def _entry(
        self, option: Option, value: str | None, sources: list[SourcedValue], read_only: bool
    ) -> Entry:
        def shown(sourced: SourcedValue) -> str | None:
            declared = TOPIC_OPTIONS.get(sourced.name) or OPTIONS[sourced.name]
            return None if declared.sensitive else declared.show(sourced.value)

        synonyms = [(sourced.name, shown(sourced), sourced.source) for sourced in sources]
        return Entry(
            option, None if option.sensitive else value, sources[0].source, read_only, synonyms
        )


def _topic_value(strongest: SourcedValue) -> Any:
    """The value of a topic setting, in the unit of the topic setting."""
    options = TOPIC_OPTIONS if strongest.source is ConfigSource.TOPIC else OPTIONS
    option = options.get(strongest.name)
    return strongest.value if option is None else milliseconds(option, strongest.value)
