"""An embedded cluster is launched from a template on ports that are free."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gui.embedded.errors import EmbeddedError
from gui.embedded.launch import launch
from gui.embedded.stored import cluster_folder, new_directory
from gui.embedded.templates import Template


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def template(port: int) -> Template:
    return Template("single", "Single broker", 1, base_port=port)


def ports(servers: str) -> list[int]:
    return [int(address.rpartition(":")[2]) for address in servers.split(",")]


def test_that_a_cluster_keeps_its_port_from_run_to_run(tmp_path: Path) -> None:
    wanted = free_port()
    directory, _ = new_directory(tmp_path, template(wanted))
    for base_port in (wanted, free_port()):  # the second run goes by the port of the first
        cluster = launch(template(base_port), directory)
        try:
            assert ports(cluster.bootstrap_servers) == [wanted]
        finally:
            cluster.stop()


def test_that_a_taken_port_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        directory, _ = new_directory(tmp_path, template(wanted))
        cluster = launch(template(wanted), directory)
        try:
            assert ports(cluster.bootstrap_servers) != [wanted]
        finally:
            cluster.stop()


def test_that_a_folder_that_holds_something_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    single = template(free_port())
    directory, _ = new_directory(tmp_path, single)
    cluster_folder(directory).write_text("a file where the data should be")
    with pytest.raises(EmbeddedError, match=r"^The cluster did not start: "):
        launch(single, directory)
