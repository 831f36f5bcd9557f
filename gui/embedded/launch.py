"""Starts ``embedded_broker.LocalCluster`` from a template. It blocks: call it on the worker thread
of ``gui.embedded.cluster``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gui.embedded.errors import EmbeddedError
from gui.embedded.stored import cluster_folder
from gui.embedded.templates import Template

if TYPE_CHECKING:
    from embedded_broker import LocalCluster

PROBE_S = 0.2


def launch(template: Template, directory: Path) -> LocalCluster:
    """A running cluster on the ports that it had before, or else the template's, or any free ones
    when those are taken. Raises: EmbeddedError."""
    from embedded_broker import ClusterRefused, NotReady, PortUnavailable

    home = cluster_folder(directory)
    port = _last_port(home) or template.base_port
    if not _ports_free(port, template.brokers):
        port = 0
    try:
        try:
            return _started(template, home, port)
        except PortUnavailable:
            return _started(template, home, 0)
    except (ClusterRefused, NotReady, OSError) as error:
        raise EmbeddedError(f"The cluster did not start: {error}") from error


def _started(template: Template, home: Path, first_port: int) -> LocalCluster:
    from embedded_broker import ClusterSpec, LocalCluster

    settings = dict(template.settings)
    cluster = LocalCluster(ClusterSpec(home, template.brokers, first_port, settings=settings))
    cluster.start()
    return cluster


def _last_port(home: Path) -> int:
    """The first port of the last run; 0 when it is not known."""
    try:
        return int(json.loads((home / "cluster.json").read_text(encoding="utf-8"))["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _ports_free(first: int, count: int) -> bool:
    import socket

    for port in range(first, first + count):
        with socket.socket() as probe:
            probe.settimeout(PROBE_S)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True
