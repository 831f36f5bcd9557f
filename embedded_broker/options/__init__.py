"""Every setting, once: ``OPTIONS`` of a broker, ``TOPIC_OPTIONS`` of a topic, and ``Settings``, a
parsed server.properties. Pure: no files, no clock; the core may import it."""

from embedded_broker.options.listeners import PROTOCOLS, Listener
from embedded_broker.options.option import Dynamic, Option, SettingError, Type, Value
from embedded_broker.options.properties import parse_properties
from embedded_broker.options.settings import OPTIONS, Settings, parse_option
from embedded_broker.options.topic import TOPIC_OPTIONS, check_topic_configs

__all__ = [
    "OPTIONS",
    "PROTOCOLS",
    "TOPIC_OPTIONS",
    "Dynamic",
    "Listener",
    "Option",
    "SettingError",
    "Settings",
    "Type",
    "Value",
    "check_topic_configs",
    "parse_option",
    "parse_properties",
]
