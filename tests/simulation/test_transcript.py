"""The transcript of a simulated run: the same for the same seed, and of use when one fails."""

from __future__ import annotations

import re

import pytest

from embedded_broker.simulator.__main__ import main
from embedded_broker.simulator.mutants import planted
from embedded_broker.simulator.scenario import run_seed
from embedded_broker.simulator.transcript import Transcript, headline

BEFORE = 20
"""Lines before a finding that must lead to it."""


def transcript_of(
    seed: int, family: str = "F2", keep: int = 100_000, **options: object
) -> list[str]:
    transcript = Transcript(keep=keep, **options)  # type: ignore[arg-type]
    run_seed(seed, 3, family, transcript=transcript)
    return transcript.lines()


def test_that_a_seed_has_one_transcript() -> None:
    lines = transcript_of(3)
    assert lines == transcript_of(3)
    assert lines != transcript_of(4)
    text = "\n".join(lines)
    for event in (
        r"broker \d +starts incarnation 1",
        r"broker \d +quorum: leader in epoch 1",
        r"cluster +data-0: leader broker \d in epoch 0, in sync 1 2 3",
        r"broker \d +data-0: high watermark 0 -> \d",
        r"p0 +sends to data-\d: p0/1/1",
        r"p\d +acknowledged at 0 of data-\d",
        r"g\d +g generation 1: owns data-",
        r"g\d +g generation \d+: committed data-\d at \d+",
        r"nemesis +\w+ broker \d \(\w+\) for \d+ ms",
        r"nemesis +heals everything",
    ):
        assert re.search(event, text), event


def test_that_a_transcript_does_not_change_the_run() -> None:
    with_one, without = run_seed(5, 3, "F2", transcript=Transcript()), run_seed(5, 3, "F2")
    assert with_one.trace_hash == without.trace_hash


def test_that_a_transcript_keeps_the_newest_lines_and_counts_the_others() -> None:
    whole, newest = transcript_of(3), transcript_of(3, keep=50)
    assert newest[1:] == whole[-50:]
    assert newest[0] == f"({len(whole) - 50} earlier lines are left out)"


def test_that_a_transcript_is_filtered_by_name_and_by_topic() -> None:
    whole = transcript_of(3)
    mine = transcript_of(3, only=["broker 2"])
    assert mine == [line for line in whole if re.search(r"\bbroker 2\b", line)]
    assert 0 < len(mine) < len(whole) / 2
    groups = transcript_of(3, topics=["__consumer_offsets"])
    assert not any(" data-" in line for line in groups)
    assert any("__consumer_offsets-1: high watermark" in line for line in groups)
    assert any("nemesis" in line for line in groups)


@pytest.mark.parametrize(
    ("bug", "finding", "clues"),
    [
        (
            "acknowledged_on_append",
            r"C1: (data-\d): b'([^']+)' was acknowledged at \d+",
            [r"sends to {0}: {1}", r"{0}: leader broker \d in epoch 0"],
        ),
        (
            "uncommitted_shown",
            r"C6: (\w+) received high watermark \d+ on (data-\d), but (\d+) are committed",
            [r"broker \d +{1}: high watermark \d+ -> {2}", r"(reads|to) {1}"],
        ),
    ],
)
def test_that_the_lines_before_a_finding_lead_to_it(
    bug: str, finding: str, clues: list[str]
) -> None:
    with planted(bug):
        *lines, last = transcript_of(1)
    found = re.search(f"checker +FOUND {finding}", last)
    assert found, last
    before = "\n".join(lines[-BEFORE:])
    for clue in clues:
        assert re.search(clue.format(*found.groups()), before), (last, before)


def test_that_the_headline_of_a_crash_is_the_error() -> None:
    crash = 'crash: broker 2: Traceback (most recent call last):\n  File "x"\nKeyError: 7'
    assert headline(crash) == "crash: broker 2: KeyError: 7"
    assert headline("C12: not done: \n  1: epoch 3") == "C12: not done: "


def test_that_the_command_ends_with_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", "3", "--transcript", "--only", "nemesis", "--lines", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "seed 3 passed"
    assert sum("nemesis" in line for line in lines) == 5
    assert main(["--replay", "1", "--transcript", "--mutant", "acknowledged_on_append"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("seed 1 failed: C1: data-")
