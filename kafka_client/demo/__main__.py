"""python -m kafka_client.demo --bootstrap HOST:PORT,... [--scenario notifications] [--rate 1.0]

Reads commands from standard input, one JSON object per line: {"rate": 2.0}, {"pause": "sms"},
{"resume": "sms"}, {"add_consumer": "sms"}, {"remove_consumer": "sms"}, {"pause_producer": true}.
Writes a status object to standard output every second. Ends when standard input is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from kafka_client.api import ClusterWriter
from kafka_client.demo.consumers import DemoGroup
from kafka_client.demo.counters import Counters
from kafka_client.demo.producer import DemoProducer
from kafka_client.demo.scenario import Scenario, Traffic, load, scenarios
from kafka_client.errors import ClientError, Rejected
from kafka_client.gateway import open_client
from kafka_client.librdkafka import properties
from kafka_client.model import NewTopic
from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets
from kafka_protocol.errors import ErrorCode
from resources.outgoing import complain, say_json

STATUS_S = 1.0
RATE_MOST = 1000.0
STOP_S = 3.0
RETRY_S = 1.0


class Demo:
    """Owns the traffic and the status line. ``run`` belongs to the main thread; commands are
    carried out by a thread of their own, and so is the creation of the topics."""

    def __init__(self, bootstrap: str, scenario: Scenario, rate: float) -> None:
        """``rate`` multiplies the rates of all producers."""
        self.profile = quick(bootstrap)
        base = {**properties(self.profile, MemorySecrets()), "client.id": f"demo-{scenario.name}"}
        self.counters = Counters()
        self.ended = threading.Event()
        self._scenario = scenario
        self._producer = DemoProducer(base, scenario, self.counters)
        self._producer.rate = rate
        self._groups = {t.topic: DemoGroup(base, t, self.counters) for t in scenario.traffic}
        self._producing = False

    def run(self) -> None:
        """Write a status every STATUS_S until ``ended`` is set, then stop the traffic."""
        threading.Thread(target=self._read_commands, name="demo-commands", daemon=True).start()
        threading.Thread(target=self._start_traffic, name="demo-topics", daemon=True).start()
        while not self.ended.wait(STATUS_S):
            try:
                say_json(self.status())
            except OSError:
                break  # the window is gone
        deadline_s = time.monotonic() + STOP_S
        if self._producing:
            self._producer.stop(STOP_S / 3)
        for group in self._groups.values():
            group.stop(deadline_s)

    def status(self) -> dict[str, Any]:
        """The status object, with the rates since the last one."""
        rates = self.counters.take_rates()
        return {
            "rate": self._producer.rate,
            "produced_per_s": round(rates.produced_per_s, 1),
            "producer_paused": self._producer.paused,
            "consumers": {
                topic: {
                    "paused": group.paused,
                    "members": group.members,
                    "per_s": round(rates.consumed_per_s.get(topic, 0.0), 1),
                    "group": group.traffic.group,
                }
                for topic, group in self._groups.items()
            },
            "error": rates.error,
        }

    def execute(self, line: str) -> str:
        """Carry out one command. Returns why it was refused, or ""."""
        try:
            command = json.loads(line)
            if not isinstance(command, dict) or len(command) != 1:
                return "a command is an object with one name"
            ((name, value),) = command.items()
            match name:
                case "rate":
                    self._producer.rate = min(max(float(value), 0.0), RATE_MOST)
                case "pause_producer":
                    self._producer.paused = bool(value)
                case "pause" | "resume":
                    self._groups[value].paused = name == "pause"
                case "add_consumer":
                    return "" if self._groups[value].add() else "no more consumers for this group"
                case "remove_consumer":
                    return "" if self._groups[value].remove() else "this group has no consumer"
                case _:
                    return f"unknown command: {name}"
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return f"not a valid command ({type(error).__name__})"
        return ""

    def _read_commands(self) -> None:
        for line in sys.stdin:
            refusal = self.execute(line) if line.strip() else ""
            if refusal:
                self.counters.failed(f"Command refused: {refusal}.")
        self.ended.set()

    def _start_traffic(self) -> None:
        asyncio.run(self._create_topics())
        if self.ended.is_set():
            return
        self._producing = True
        self._producer.start()
        for group in self._groups.values():
            group.add()

    async def _create_topics(self) -> None:
        """Try until it succeeds: the cluster may still be starting."""
        while not self.ended.is_set():
            client = open_client(self.profile)
            try:
                await client.connect()
                existing = (await client.metadata()).topics
                for traffic in self._scenario.traffic:
                    if traffic.topic not in existing:
                        await _create_topic(client, traffic)
                return
            except ClientError as error:
                self.counters.failed(str(error))
            finally:
                await client.close()
            await asyncio.sleep(RETRY_S)


async def _create_topic(client: ClusterWriter, traffic: Traffic) -> None:
    topic = NewTopic(traffic.topic, traffic.partitions, traffic.replication_factor, traffic.configs)
    try:
        await client.create_topics([topic])
    except Rejected as error:
        if error.code != ErrorCode.TOPIC_ALREADY_EXISTS:
            raise


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kafka_client.demo", description="Traffic for a demo cluster."
    )
    parser.add_argument(
        "--bootstrap", required=True, help="addresses, host:port, separated by commas"
    )
    parser.add_argument("--scenario", default="notifications", choices=scenarios())
    parser.add_argument(
        "--rate", type=float, default=1.0, help="multiplies the rates of all producers"
    )
    options = parser.parse_args(argv)
    try:
        demo = Demo(options.bootstrap, load(options.scenario), options.rate)
    except ClientError as error:
        complain(str(error))
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: demo.ended.set())
    demo.run()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # librdkafka's threads may still wait for a broker that is down; all that matters is done.
    os._exit(code)
