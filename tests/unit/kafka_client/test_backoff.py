import random

from kafka_client.backoff import SOON_TRIES, wait_s


def test_that_waits_start_short_stay_short_for_a_while_and_grow_to_the_limit():
    rng = random.Random(1)
    waits = [wait_s(n, 0.5, 15.0, rng) for n in range(40)]
    assert 0.4 <= waits[0] <= 0.5
    assert max(waits[:SOON_TRIES]) <= 2.0 < waits[SOON_TRIES + 1]
    assert all(12.0 <= w <= 15.0 for w in waits[20:])
    assert wait_s(10_000, 0.5, 15.0, rng) <= 15.0
