"""Kafka's protocol for both halves, brokers and client: bytes in, bytes out, no input
or output.

``codec`` and ``framing`` are the face of requests and responses, ``messages`` declares
them, ``records`` has record batches, ``errors``, ``api_keys`` and ``constants`` name
Kafka's numbers.
"""
