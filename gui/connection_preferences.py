"""Derives from the preferences how often a connection samples and how much history it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gui.preferences import (
    HISTORY_DAYS,
    HISTORY_MIB,
    SAMPLING_FOCUS_S,
    SAMPLING_METADATA_S,
    SAMPLING_REST_S,
    Preferences,
)
from kafka_client.sampling.state import Schedule

if TYPE_CHECKING:
    from kafka_client.history import HistoryLimits


def schedule_of(preferences: Preferences) -> Schedule:
    """The intervals of a connection that is opened now."""
    default = Schedule()
    focus_s, rest_s = preferences.get(SAMPLING_FOCUS_S), preferences.get(SAMPLING_REST_S)
    metadata_s = preferences.get(SAMPLING_METADATA_S)
    return Schedule(
        metadata_s=metadata_s,
        metadata_large_s=max(metadata_s, default.metadata_large_s),
        offsets_visible_s=focus_s,
        offsets_rest_s=max(focus_s, rest_s),
        start_offsets_s=max(rest_s, default.start_offsets_s),
        groups_s=max(focus_s, default.groups_s),
        committed_visible_s=focus_s,
        committed_rest_s=max(focus_s, rest_s),
    )


def history_limits_of(preferences: Preferences) -> HistoryLimits:
    from kafka_client.history import HistoryLimits

    return HistoryLimits(
        days=preferences.get(HISTORY_DAYS), size_bytes=int(preferences.get(HISTORY_MIB)) << 20
    )
