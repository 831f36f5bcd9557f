"""python -m kafka_client.demo --bootstrap HOST:PORT,... [--scenario notifications] [--rate 1.0]

Reads commands from standard input, one JSON object a line: {"rate": 2.0}, {"pause": "sms"},
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

from kafka_client.confluent_data import properties
from kafka_client.demo.consuming import Consuming
from kafka_client.demo.producing import Producing
from kafka_client.demo.report import Report
from kafka_client.demo.scenario import Scenario, load, scenarios
from kafka_client.errors import ClientError, Rejected
from kafka_client.gateway import open_client
from kafka_client.model import NewTopic
from kafka_client.profile import quick
from kafka_client.secrets import MemorySecrets

STATUS_S = 1.0
RATE_MOST = 1000.0
STOP_S = 3.0
TRY_AGAIN_S = 1.0


class Demo:
    """The main thread's: owns the traffic, answers commands, tells the status."""

    def __init__(self, bootstrap: str, scenario: Scenario, rate: float) -> None:
        self.profile = quick(bootstrap)
        base = {**properties(self.profile, MemorySecrets()), "client.id": f"demo-{scenario.name}"}
        self.report = Report()
        self.ended = threading.Event()
        self._scenario = scenario
        self._producing = Producing(base, scenario, self.report)
        self._producing.rate = rate
        self._groups = {t.topic: Consuming(base, t, self.report) for t in scenario.traffic}
        self._started = False

    def run(self) -> None:
        threading.Thread(target=self._listen, name="demo-commands", daemon=True).start()
        threading.Thread(target=self._begin, name="demo-topics", daemon=True).start()
        while not self.ended.wait(STATUS_S):
            try:
                print(json.dumps(self.status()), flush=True)
            except OSError:
                break
        deadline = time.monotonic() + STOP_S
        self._producing.stop(STOP_S / 3) if self._started else None
        for group in self._groups.values():
            group.stop(deadline)

    def status(self) -> dict[str, Any]:
        produced, consumed, error = self.report.take()
        return {
            "rate": self._producing.rate,
            "produced_per_s": round(produced, 1),
            "producer_paused": self._producing.paused,
            "consumers": {
                topic: {
                    "paused": group.paused,
                    "members": group.members,
                    "per_s": round(consumed.get(topic, 0.0), 1),
                    "group": group.traffic.group,
                }
                for topic, group in self._groups.items()
            },
            "error": error,
        }

    def obey(self, line: str) -> str:
        """Carry out one command. Returns what is wrong with it, or ""."""
        try:
            command = json.loads(line)
            if not isinstance(command, dict) or len(command) != 1:
                return "a command is an object with one name"
            ((name, value),) = command.items()
            match name:
                case "rate":
                    self._producing.rate = min(max(float(value), 0.0), RATE_MOST)
                case "pause_producer":
                    self._producing.paused = bool(value)
                case "pause" | "resume":
                    self._groups[value].paused = name == "pause"
                case "add_consumer":
                    return "" if self._groups[value].add() else "no more consumers for this group"
                case "remove_consumer":
                    return "" if self._groups[value].remove() else "this group has no consumer"
                case _:
                    return f"no such command: {name}"
        except (ValueError, TypeError, KeyError, RecursionError):
            return "not understood"
        return ""

    def _listen(self) -> None:
        for line in sys.stdin:
            problem = self.obey(line) if line.strip() else ""
            if problem:
                self.report.failed(f"Command refused: {problem}.")
        self.ended.set()

    def _begin(self) -> None:
        asyncio.run(self._make_topics())
        if self.ended.is_set():
            return
        self._started = True
        self._producing.start()
        for group in self._groups.values():
            group.add()

    async def _make_topics(self) -> None:
        """Until it works: the cluster may just be starting."""
        while not self.ended.is_set():
            client = open_client(self.profile)
            try:
                await client.connect()
                present = (await client.metadata()).topics
                for traffic in self._scenario.traffic:
                    if traffic.topic not in present:
                        try:
                            await client.create_topics(
                                [
                                    NewTopic(
                                        traffic.topic,
                                        traffic.partitions,
                                        traffic.replication_factor,
                                        traffic.configs,
                                    )
                                ]
                            )
                        except Rejected as error:
                            if error.name != "TOPIC_ALREADY_EXISTS":
                                raise
                return
            except ClientError as error:
                self.report.failed(str(error))
            finally:
                await client.close()
            await asyncio.sleep(TRY_AGAIN_S)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kafka_client.demo", description="Traffic for a demo cluster."
    )
    parser.add_argument(
        "--bootstrap", required=True, help="addresses, host:port, separated by commas"
    )
    parser.add_argument("--scenario", default="notifications", choices=scenarios())
    parser.add_argument("--rate", type=float, default=1.0, help="multiplies how fast records come")
    options = parser.parse_args(argv)
    try:
        demo = Demo(options.bootstrap, load(options.scenario), options.rate)
    except ClientError as error:
        print(error, file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: demo.ended.set())
    demo.run()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(
        code
    )  # librdkafka's threads may still wait for a dead broker; everything worth keeping is done
