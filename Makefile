.PHONY: kafka
kafka:
	@python3 tests/real_kafka/fetch.py
