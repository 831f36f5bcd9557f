"""The settings of brokers (``OPTIONS``) and topics (``TOPIC_OPTIONS``), each declared once, and
``Settings``, a parsed server.properties.

Uses neither files nor clock, so the core may import it.
"""

from embedded_broker.options.listeners import PROTOCOLS, Listener
from embedded_broker.options.names import names_secret
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
    "names_secret",
    "parse_option",
    "parse_properties",
]
