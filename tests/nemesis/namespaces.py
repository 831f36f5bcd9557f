"""A network of their own for the brokers: one namespace each, joined by a bridge.

The clients stay in the namespace of the test and reach every broker through the bridge. Needs root
and `ip`; nothing leaves the machine. A cut is a blackhole route, so the kernel drops packets in one
direction without an answer, as a broken switch does.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import uuid
from types import TracebackType

NETWORK = "10.213.0.0/24"


def why_unavailable() -> str | None:
    """Return a reason when this machine cannot make network namespaces, else None."""
    if shutil.which("ip") is None:
        return "the command `ip` (iproute2) is not installed"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"kn-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "this machine refuses network namespaces"
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"


def _keep_inside() -> None:
    """Drop what a client still sends to a broker once the bridge is gone, instead of routing it
    out of this machine."""
    route = ("route", "replace", "blackhole", NETWORK, "metric", "9999")
    _ip(*route)
    atexit.register(subprocess.run, ["ip", "route", "del", *route[2:]], capture_output=True)


class Namespaces:
    """A context manager: namespaces for brokers 1 to ``count`` on NETWORK."""

    def __init__(self, count: int) -> None:
        self.ids = range(1, count + 1)
        self._tag = uuid.uuid4().hex[:6]  # names of interfaces have at most 15 characters
        self._cuts: set[tuple[int, int]] = set()

    def name(self, broker_id: int) -> str:
        """The namespace of a broker, for `ip netns exec`."""
        return f"kn-{self._tag}-{broker_id}"

    @staticmethod
    def host(broker_id: int) -> str:
        """The address of a broker."""
        return f"10.213.0.{broker_id}"

    def __enter__(self) -> Namespaces:
        bridge = f"kn{self._tag}"
        _keep_inside()
        try:
            _ip("link", "add", bridge, "type", "bridge")
            _ip("addr", "add", "10.213.0.254/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for i in self.ids:
                inside = self.name(i)
                _ip("netns", "add", inside)
                outer, inner = f"ko{self._tag}{i}", f"ki{self._tag}{i}"
                _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", inside)
                _ip("link", "set", outer, "master", bridge, "up")
                _ip("-n", inside, "addr", "add", f"{self.host(i)}/24", "dev", inner)
                _ip("-n", inside, "link", "set", inner, "up")
                _ip("-n", inside, "link", "set", "lo", "up")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for i in self.ids:
            subprocess.run(["ip", "netns", "del", self.name(i)], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", f"kn{self._tag}"], capture_output=True, check=False)

    def cut(self, source: int, target: int) -> None:
        """Drop everything that broker ``source`` sends to broker ``target``."""
        if (source, target) not in self._cuts:
            self._cuts.add((source, target))
            _ip("-n", self.name(source), "route", "add", "blackhole", f"{self.host(target)}/32")

    def isolate(self, broker_id: int) -> None:
        """Cut a broker off from all others, in both directions; clients still reach it."""
        for other in self.ids:
            if other != broker_id:
                self.cut(broker_id, other)
                self.cut(other, broker_id)

    def heal(self) -> None:
        """Remove every cut."""
        for source, target in self._cuts:
            _ip("-n", self.name(source), "route", "del", "blackhole", f"{self.host(target)}/32")
        self._cuts.clear()
