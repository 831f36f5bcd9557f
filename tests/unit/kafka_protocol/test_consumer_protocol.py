"""Subscriptions and assignments, which group members write themselves."""

from __future__ import annotations

import pytest

from kafka_protocol.consumer_protocol import assigned_partitions, subscribed_topics

ASSIGNMENT = (
    b"\0\1\0\0\0\2" + b"\0\1b\0\0\0\1\0\0\0\3" + b"\0\1a\0\0\0\2\0\0\0\1\0\0\0\0" + b"\0\0\0\0"
)
SUBSCRIPTION = b"\0\1\0\0\0\2\0\1b\0\2\xc3\xa9" + b"\xff\xff\xff\xff" + b"\0\0\0\0"


def test_that_an_assignment_is_read_and_sorted() -> None:
    assert assigned_partitions(ASSIGNMENT) == [("a", 0), ("a", 1), ("b", 3)]
    assert assigned_partitions(b"\0\0\0\0\0\0") == []


def test_that_the_topics_of_a_subscription_are_read_whatever_follows() -> None:
    assert subscribed_topics(SUBSCRIPTION) == ["b", "é"]
    assert subscribed_topics(SUBSCRIPTION[:13]) == ["b", "é"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\0\xff\xff\xff\xff",
        b"\0\0\0\0\0\1\xff\xff",
        b"\0\0\0\0\0\1\0\1t\x7f\xff\xff\xff",
        b"\0\0\0\0\0\1\0\x09abc",
        b"\0\0\0\0\0\1\0\1\xff\0\0\0\0",
    ],
)
def test_that_malformed_bytes_are_no_assignment(data: bytes) -> None:
    assert assigned_partitions(data) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\1\0\x09abc", b"\0\0\0\0\0\1\0\1\xff"],
)
def test_that_malformed_bytes_are_no_subscription(data: bytes) -> None:
    assert subscribed_topics(data) is None


def test_that_every_cut_is_read_or_refused() -> None:
    for whole, read in ((ASSIGNMENT, assigned_partitions), (SUBSCRIPTION, subscribed_topics)):
        for end in range(len(whole)):
            found = read(whole[:end])
            assert found is None or found == read(whole)
