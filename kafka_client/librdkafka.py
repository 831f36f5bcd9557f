"""Provide what every client of confluent-kafka needs: a profile as librdkafka's properties, and
a logger for librdkafka."""

from __future__ import annotations

import logging
import time
from typing import Any

from kafka_client.error_map import clean
from kafka_client.profile import ConnectionProfile
from kafka_client.secrets import Secrets

PARTITION_EOF = -191
"""librdkafka's code for the end of a partition: not an error."""
LOG_LINE_MOST = 300
LOG_EVERY_S = 1.0

Properties = dict[str, Any]


class OneLineASecond(logging.Filter):
    """Lets one line a second through and says how many it left out: librdkafka repeats itself for
    each broker that is down. Lines become one safe line of at most LOG_LINE_MOST characters."""

    def __init__(self) -> None:
        super().__init__()
        self._next_s = 0.0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next_s:
            self._left_out += 1
            return False
        self._next_s = now + LOG_EVERY_S
        text = clean(record.getMessage(), LOG_LINE_MOST)
        if self._left_out:
            text += f" ({self._left_out:,} more lines left out)"
        record.msg, record.args, self._left_out = text, (), 0
        return True


logger = logging.getLogger(__name__)
"""Give it to every client of confluent-kafka; otherwise librdkafka writes to stderr."""
logger.addFilter(OneLineASecond())


def properties(profile: ConnectionProfile, secrets: Secrets) -> Properties:
    """The properties of a profile in librdkafka's names. Holds secrets: never show or log it."""
    made: Properties = {
        "client.id": "kafkarium",
        "socket.timeout.ms": 10_000,
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.ms": 200,
        "reconnect.backoff.max.ms": 5_000,
        "log_level": 4,
        **profile.properties,
        "bootstrap.servers": ",".join(profile.bootstrap_servers),
        "security.protocol": profile.security_protocol.value,
    }
    if profile.security_protocol.tls:
        if profile.ca_path:
            made["ssl.ca.location"] = profile.ca_path
        if profile.certificate_path:
            made["ssl.certificate.location"] = profile.certificate_path
            made["ssl.key.location"] = profile.key_path
        if profile.key_password_ref:
            made["ssl.key.password"] = secrets.get(profile.key_password_ref) or ""
        if not profile.verify_hostname:
            made["ssl.endpoint.identification.algorithm"] = "none"
    if profile.security_protocol.sasl:
        made["sasl.mechanism"] = profile.sasl_mechanism.value
        made["sasl.username"] = profile.sasl_username
        made["sasl.password"] = secrets.get(profile.sasl_password_ref) or ""
    return made
