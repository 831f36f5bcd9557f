import re
from pathlib import Path

import pytest

from resources import wording


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (wording.counted(1, "broker"), "1 broker"),
        (wording.counted(0, "broker"), "0 brokers"),
        (wording.counted(1234, "entry", "entries"), "1,234 entries"),
        (wording.counted_is(1, "broker"), "1 broker is"),
        (wording.counted_is(3, "broker"), "3 brokers are"),
        (wording.verb(1, "has", "have"), "has"),
        (wording.listed([]), ""),
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b"]), "a and b"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
        (wording.listed(["a", "b", "c", "d"]), "a, b, c and 1 more"),
        (wording.numbered("broker", [2]), "broker 2"),
        (wording.numbered("broker", [1, 2, 3]), "brokers 1, 2 and 3"),
        (wording.numbered("partition", range(100)), "partitions 0, 1, 2, 3, 4 and 95 more"),
        (wording.seconds(0.512188), "0.5 s"),
        (wording.seconds(0.02), "20 ms"),
        (wording.seconds(3.0), "3 s"),
        (wording.seconds(9.96), "10 s"),
        (wording.seconds(15.0), "15 s"),
        (wording.seconds(600), "10 min"),
        (wording.capitalised("brokers of Kafka"), "Brokers of Kafka"),
    ],
)
def test_that_things_are_counted_as_people_count_them(text, expected):
    assert text == expected


def test_that_every_text_counts_and_measures_through_this_module():
    """``{len(x)} brokers`` reads wrong for one broker, ``{timeout:g} s`` like 0.512188 s. A number
    beside a fixed plural is fine where it is never one: ``All {total} brokers``."""
    plural = re.compile(r"(?<!All )\{(?:len\([^}]*\)|count|number|total)(?::[^}]*)?\} [a-z]+s\\b")
    measure = re.compile(r"\{[^}]*:g\} (?:s|ms|seconds)\\b")
    allowed = ("log", "of {total} brokers", "The name has {len(name)} characters")
    package = Path(wording.__file__).parent
    found = []
    for path in sorted(package.rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            wrong = plural.search(line) or measure.search(line)
            if wrong and not any(text in line for text in allowed):
                found.append(f"{path.relative_to(package)}:{number} {wrong.group()}")
    assert not found, f"use resources.wording: {found}"
