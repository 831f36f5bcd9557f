"""Where a partition can be read again behind what a broker does not send."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from kafka_client.fetching.skipping import find_readable


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.data())
def test_that_the_first_batch_behind_the_damage_is_found(sizes, data):
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    end = sum(sizes)
    damaged = data.draw(st.integers(0, len(sizes) - 1))
    behind = data.draw(st.integers(damaged + 1, len(sizes)))
    bad = range(starts[damaged], starts[behind] if behind < len(sizes) else end)
    asked_first = data.draw(st.sampled_from(bad))
    probes = 0

    async def probe(offset):
        nonlocal probes
        probes += 1
        assert offset < end
        return None if offset in bad else max(s for s in starts if s <= offset)

    assert asyncio.run(find_readable(asked_first, end, probe)) == bad.stop
    assert probes <= 2 * len(bad).bit_length() + 2


async def test_that_offsets_without_a_record_are_no_damage():
    async def probe(offset):
        return None if offset < 10 else max(offset, 50)  # compaction left nothing from 10 to 49

    assert await find_readable(3, 100, probe) == 10
