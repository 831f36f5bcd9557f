from __future__ import annotations

from pathlib import Path

from gui.connection_preferences import history_limits_of, schedule_of
from gui.preferences import (
    HISTORY_DAYS,
    HISTORY_MIB,
    SAMPLING_FOCUS_S,
    SAMPLING_METADATA_S,
    SAMPLING_REST_S,
    Preferences,
)
from kafka_client.history import HistoryLimits
from kafka_client.sampling.state import Schedule


def test_that_the_defaults_are_those_of_the_sampler(qapp: object, tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "p.json")
    assert schedule_of(preferences) == Schedule()
    assert history_limits_of(preferences) == HistoryLimits()


def test_that_slower_sampling_slows_every_kind(qapp: object, tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "p.json")
    preferences.set(SAMPLING_FOCUS_S, 20.0)
    preferences.set(SAMPLING_REST_S, 60.0)
    preferences.set(SAMPLING_METADATA_S, 30.0)
    schedule = schedule_of(preferences)
    assert schedule.offsets_visible_s == schedule.committed_visible_s == schedule.groups_s == 20
    assert schedule.offsets_rest_s == schedule.committed_rest_s == schedule.start_offsets_s == 60
    assert schedule.metadata_s == schedule.metadata_large_s == 30


def test_that_the_rest_is_never_sampled_more_often_than_what_is_in_sight(
    qapp: object, tmp_path: Path
) -> None:
    preferences = Preferences(tmp_path / "p.json")
    preferences.set(SAMPLING_FOCUS_S, 30.0)
    preferences.set(SAMPLING_REST_S, 2.0)
    assert schedule_of(preferences).offsets_rest_s == 30


def test_that_history_is_limited_in_days_and_bytes(qapp: object, tmp_path: Path) -> None:
    preferences = Preferences(tmp_path / "p.json")
    preferences.set(HISTORY_DAYS, 3.0)
    preferences.set(HISTORY_MIB, 20.0)
    assert history_limits_of(preferences) == HistoryLimits(3.0, 20 << 20)
