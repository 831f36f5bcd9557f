"""Code that connects a program to a cluster; ``{address}`` stands for the bootstrap address."""

from __future__ import annotations

SNIPPETS: tuple[tuple[str, str], ...] = (
    (
        "Python",
        "from confluent_kafka import Producer\n\n"
        'producer = Producer({"bootstrap.servers": "{address}"})\n'
        'producer.produce("email", key="a", value="hello")\nproducer.flush()\n',
    ),
    (
        "Java",
        'Properties settings = new Properties();\nsettings.put("bootstrap.servers", "{address}");\n'
        "var text = new StringSerializer();\n"
        "var producer = new KafkaProducer<>(settings, text, text);\n"
        'producer.send(new ProducerRecord<>("email", "a", "hello"));\nproducer.close();\n',
    ),
    (
        "Go",
        'client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split("{address}", ",")...))\n'
        "if err != nil {\n\tpanic(err)\n}\n"
        'record := &kgo.Record{Topic: "email", Value: []byte("hello")}\n'
        "client.ProduceSync(context.Background(), record)\n",
    ),
    (
        "Node",
        'const { Kafka } = require("kafkajs")\n'
        'const kafka = new Kafka({ brokers: "{address}".split(",") })\n'
        "const producer = kafka.producer()\nawait producer.connect()\n"
        'await producer.send({ topic: "email", messages: [{ key: "a", value: "hello" }] })\n',
    ),
    ("kcat", "kcat -b {address} -t email -C\n"),
)
