"""`kafkarium cluster run` and LocalCluster with real broker processes: start, stop, kill, refuse,
leave nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded_broker import (
    BrokerOptions,
    ClusterRefused,
    ClusterSpec,
    LocalCluster,
    PortUnavailable,
    State,
    TopicSpec,
)
from embedded_broker.shell import admin
from tests.integration.embedded import EmbeddedCluster, free_ports

REPOSITORY = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], object], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition does not hold in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run(*arguments: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "embedded_broker.shell.command", "run", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Shared: a test leaves all three brokers serving."""
    folder = tmp_path_factory.mktemp("cluster")
    with LocalCluster(ClusterSpec(folder / "c", brokers=3, port=0)) as found:
        yield found


def addresses(cluster: LocalCluster) -> list[tuple[str, int]]:
    return [(s.host, s.port) for s in cluster.statuses()]


def serving(cluster: LocalCluster) -> bool:
    return all(s.state is State.SERVING for s in cluster.statuses())


def test_that_every_broker_is_a_process_of_its_own_and_knows_the_others(
    cluster: LocalCluster,
) -> None:
    pids = [s.pid for s in cluster.statuses()]
    assert len(set(pids)) == 3 and all(map(alive, pids))
    for status in cluster.statuses():
        folder = cluster.broker_directory(status.broker_id)
        assert int((folder / "broker.pid").read_text()) == status.pid
        assert f"node.id={status.broker_id}" in (folder / "server.properties").read_text()
        assert admin.brokers_known_to((status.host, status.port)) == {1, 2, 3}
        usage = cluster.usage(status.broker_id)
        assert usage is not None and 5e6 < usage.rss_bytes < 200e6
    assert any("serving clients" in line for line in cluster.log_tail(1))


def test_that_an_existing_topic_is_not_created_again(cluster: LocalCluster) -> None:
    cluster.create_topics([TopicSpec("made", 4, 3)])
    cluster.create_topics([TopicSpec("made", 4, 3)])
    with pytest.raises(admin.AdminFailed, match="made-not"):
        cluster.create_topics([TopicSpec("made-not", 1, 4)], timeout_s=2)


def test_that_a_killed_broker_differs_from_a_stopped_one_and_both_start_again(
    cluster: LocalCluster,
) -> None:
    cluster.kill(2)
    assert cluster.wait_for(2, State.DIED)
    assert cluster.status(2).reason == "killed by SIGKILL"
    cluster.start_broker(2)
    assert cluster.wait_for(2, State.SERVING)
    cluster.stop_broker(3)
    assert cluster.wait_for(3, State.STOPPED)
    assert cluster.status(3).reason == "shut down"
    cluster.start_broker(3)
    assert cluster.wait_for(3, State.SERVING)
    cluster.wait_ready(15)


def test_that_a_frozen_broker_accepts_but_does_not_respond_until_it_is_thawed(
    cluster: LocalCluster,
) -> None:
    cluster.freeze(1)
    try:
        assert cluster.status(1).state is State.FROZEN
        status = cluster.status(1)
        assert admin.brokers_known_to((status.host, status.port), timeout_s=0.3) == set()
    finally:
        cluster.thaw(1)
    until(lambda: admin.brokers_known_to(addresses(cluster)[0]) == {1, 2, 3})


def test_that_a_port_in_use_is_refused_as_such(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortUnavailable, match="broker 1 needs this port"):
            LocalCluster(ClusterSpec(tmp_path / "c", brokers=1, port=port)).begin()
    assert not (tmp_path / "c").exists()


def test_that_a_directory_in_use_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(ClusterRefused, match="in use by another running cluster"):
        LocalCluster(cluster.spec).begin()
    assert serving(cluster)


def test_that_all_brokers_killed_at_once_come_back_with_their_data(cluster: LocalCluster) -> None:
    cluster.create_topics([TopicSpec("kept", 2, 3)])
    for broker_id in cluster.broker_ids:
        cluster.kill(broker_id)
    for broker_id in cluster.broker_ids:
        assert cluster.wait_for(broker_id, State.DIED)
        cluster.start_broker(broker_id)
    began = time.monotonic()
    cluster.wait_ready(30)
    assert time.monotonic() - began < 15
    cluster.create_topics([TopicSpec("kept", 2, 3)])


def test_that_brokers_of_one_cluster_may_differ(tmp_path: Path) -> None:
    spec = ClusterSpec(
        tmp_path / "c",
        brokers=2,
        port=0,
        per_broker={2: BrokerOptions("rack-b", {"log.retention.hours": "5"})},
    )
    with LocalCluster(spec) as cluster:
        text = (cluster.broker_directory(2) / "server.properties").read_text()
        assert "broker.rack=rack-b\n" in text and "log.retention.hours=5\n" in text
        assert "rack-b" not in (cluster.broker_directory(1) / "server.properties").read_text()


ON_THE_PLAIN_PLATFORM = """
import sys
from pathlib import Path
from embedded_broker import ClusterSpec, LocalCluster, State, TopicSpec
from embedded_broker.shell import launchers, loop, platform

assert platform.PLAIN and platform.sendfile is None
assert isinstance(loop.make_poller(), loop.PlainPoller)
cluster = LocalCluster(ClusterSpec(Path(sys.argv[1]), brokers=2, port=0))
cluster.start()
assert isinstance(cluster._launcher, launchers.SpawnLauncher)
cluster.create_topics([TopicSpec("t", 2, 2)])
cluster.freeze(2)
cluster.thaw(2)
assert cluster.usage(1).rss_bytes > 1e6
cluster.kill(2)
assert cluster.wait_for(2, State.DIED)
cluster.start_broker(2)
assert cluster.wait_for(2, State.SERVING)
cluster.stop()
print([status.reason for status in cluster.statuses()])
"""


def test_that_the_plain_platform_runs_a_cluster_too(tmp_path: Path) -> None:
    environment = os.environ | {"KAFKARIUM_PLAIN_PLATFORM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_THE_PLAIN_PLATFORM, str(tmp_path / "c")],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['shut down', 'shut down']"


def test_that_cluster_run_prints_ready_restarts_a_broker_and_shuts_down(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EmbeddedCluster(
        "--topic", "orders:3:3", "--set", "log.retention.ms=60000", data_dir=data
    ) as cluster:
        first = cluster.port
        assert cluster.bootstrap_servers == ",".join(f"127.0.0.1:{first + i}" for i in range(3))
        assert "log.retention.ms=60000" in (data / "broker-1" / "server.properties").read_text()
        old = cluster.kill(2)
        cluster.wait_for_new_pid(2, old)
        again = run("--port", str(free_ports(3)), "--data-dir", str(data))
        assert (again.returncode, again.stdout) == (2, "")
        assert "in use by another running cluster" in again.stderr
    assert cluster.returncode == 0
    assert "broker 2 died: killed by SIGKILL" in cluster.errors
    assert all((data / f"broker-{i}" / "data" / ".kafka_cleanshutdown").exists() for i in (1, 2, 3))


def test_that_a_broker_that_is_never_restarted_can_be_started_by_hand(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EmbeddedCluster("--restart-after", "never", data_dir=data) as cluster:
        old = cluster.kill(3)
        until(lambda: not alive(old))
        properties = data / "broker-3" / "server.properties"
        by_hand = subprocess.Popen(
            [sys.executable, "-m", "embedded_broker", str(properties)], cwd=REPOSITORY
        )
        until(lambda: admin.brokers_known_to(("127.0.0.1", cluster.port + 2), 0.5) == {1, 2, 3})
        assert cluster.pid(3) == by_hand.pid
        by_hand.send_signal(signal.SIGTERM)
        assert by_hand.wait(20) == 0
    assert cluster.returncode == 0


def test_that_temporary_data_is_removed(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "embedded_broker.shell.command",
            "run",
            "--port",
            str(free_ports(1)),
            "--brokers",
            "1",
        ],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready ")
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stdout.read() == ""
    process.stdout.close()
    assert not list(tmp_path.iterdir())


def test_that_a_refusal_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    port = free_ports(3)
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("hello")
    with socket.create_server(("127.0.0.1", port + 1)):
        refused = {
            "Address already in use": run("--port", str(port), "--data-dir", str(tmp_path / "a")),
            "num.partitoins": run("--set", "num.partitoins=3", "--data-dir", str(tmp_path / "b")),
            "num.partitions": run(
                "--set", "num.partitions=many", "--data-dir", str(tmp_path / "c")
            ),
            "not empty": run("--data-dir", str(full)),
            "invalid setting": run("--set", "nonsense"),
            "cluster.secret is a secret": run("--set", "cluster.secret=hunter2"),
            "x.ssl.key.password is a secret": run(
                "--set", "listener.name.x.ssl.key.password=hunter2"
            ),
            "invalid setting 'ssl.key.password'": run("--set", "ssl.key.password: hunter2"),
            "invalid topic": run("--topic", "a:b:c"),
            "65535": run("--port", "65534"),
            "--restart-after": run("--restart-after", "soon"),
            "1 or more": run("--brokers", "0"),
            "unrecognized": run("--colour"),
        }
    for word, done in refused.items():
        assert (done.returncode, done.stdout) == (2, ""), word
        assert done.stderr.count("\n") == 1 and word in done.stderr, done.stderr
        assert "hunter2" not in done.stderr
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    assert [p.name for p in full.iterdir()] == ["letter.txt"]


def test_that_the_data_of_another_cluster_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with LocalCluster(ClusterSpec(tmp_path / name, brokers=1, port=0)):
            pass
    data = tmp_path / "one" / "broker-1" / "data"
    for path in data.iterdir():
        if path.is_file():
            path.unlink()
    (data / "meta.properties").write_text(
        (tmp_path / "two" / "broker-1" / "data" / "meta.properties").read_text()
    )
    done = run("--data-dir", str(tmp_path / "one"), "--port", str(free_ports(1)))
    assert done.returncode == 2 and "belongs to cluster" in done.stderr
    wrong = run("--brokers", "3", "--data-dir", str(tmp_path / "two"), "--port", str(free_ports(3)))
    assert wrong.returncode == 2 and "cluster of 1 brokers" in wrong.stderr
