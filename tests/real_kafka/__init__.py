"""A real Apache Kafka for tests to compare with: fetched by Maven, started on loopback, never
shipped."""
