"""Kafka's own command-line tools, run from the fetched jars.

    python tests/real_kafka/tools.py kafka-topics --bootstrap-server 127.0.0.1:9092 --list

or, in a test, `kafka_tool("kafka-topics", "--bootstrap-server", servers, "--list").stdout`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from tests.real_kafka.fetch import class_path, kafka_dir, why_unavailable

MAIN_CLASS = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-replica-verification": "org.apache.kafka.tools.ReplicaVerificationTool",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-streams-groups": "org.apache.kafka.tools.streams.StreamsGroupCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}

LOG4J = """\
status = error
appender.err.type = Console
appender.err.name = ERR
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.err.ref = ERR
"""

JVM = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xshare:auto",
]


def kafka_command(name: str, *args: str) -> list[str]:
    """The command line that runs one of Kafka's tools; for a process that stays, like a console
    consumer."""
    config = kafka_dir() / "tools-log4j2.properties"
    if not config.exists():
        config.write_text(LOG4J)
    log4j = f"-Dlog4j2.configurationFile={config.resolve()}"
    return ["java", *JVM, log4j, "-cp", class_path(), MAIN_CLASS[name.removesuffix(".sh")], *args]


def kafka_tool(
    name: str, *args: str, stdin: str | None = None, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run one of Kafka's tools to its end. A JVM takes about a second to start."""
    return subprocess.run(
        kafka_command(name, *args),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1].removesuffix(".sh") not in MAIN_CLASS:
        print("usage: tools.py TOOL ARGUMENTS; tools:", ", ".join(MAIN_CLASS), file=sys.stderr)
        return 2
    reason = why_unavailable()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 3
    return subprocess.run(kafka_command(*sys.argv[1:]), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
