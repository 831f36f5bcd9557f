"""Assignments, which group members write themselves."""

import pytest

from kafka_client.wire.assignment import read_assignment


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\0\0\0\0\1\xff\xff",
        b"\0\0\0\0\0\1\0\1t\x7f\xff\xff\xff",
        b"\0\0\0\0\0\1\0\x09abc",
    ],
)
def test_that_a_broken_assignment_is_none(data):
    assert read_assignment(data) == ()


def test_that_an_assignment_is_read():
    data = b"\0\1\0\0\0\2\0\1b\0\0\0\1\0\0\0\3\0\1a\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\0"
    assert read_assignment(data) == (("a", 0), ("a", 1), ("b", 3))
