"""One broker process for all tests of bad input.

Whatever it receives: the process lives, its memory stays bounded, a healthy client beside it is
served in time, every connection is closed in the end, and no secret is in the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from embedded_broker import ClusterSpec, LocalCluster, TopicSpec
from tests.integration.bad_input.live import Live
from tests.unit.embedded_broker.shell.fakes import Client

MAX_GROWTH_BYTES = 64 * 1024 * 1024
SLOWEST_S = 2.0
IDLE_SOCKETS = 3
"""The listener, and the pair that wakes the loop."""


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("bad-input")
    with LocalCluster(ClusterSpec(folder / "c", brokers=1, port=0)) as cluster:
        cluster.create_topics([TopicSpec("t", 2, 1), TopicSpec("healthy", 1, 1)])
        found = Live(cluster)
        before = found.rss_bytes()
        yield found
        found.finish()
        assert cluster.status(1).pid == found.pid, "the broker died"
        assert found.rss_bytes() - before < MAX_GROWTH_BYTES
        assert not found.failures
        assert found.slowest_s < SLOWEST_S
        deadline = time.monotonic() + 5
        while found.open_sockets() > IDLE_SOCKETS and time.monotonic() < deadline:
            time.sleep(0.05)  # the broker reads the ends of the last connections
        assert found.open_sockets() <= IDLE_SOCKETS
        log = "\n".join(cluster.log_tail(1, 10_000))
        assert "Traceback" not in log
        secret = (folder / "c" / "cluster.secret").read_text().strip()
        assert secret not in log and bytes.fromhex(secret).decode("latin-1") not in log


@pytest.fixture
def client(live: Live) -> Iterator[Client]:
    found = live.connect()
    yield found
    found.close()
