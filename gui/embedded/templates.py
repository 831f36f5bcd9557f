"""The embedded clusters that one click starts."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Template:
    """``scenario`` names the traffic of ``kafka_client.demo``; empty for a cluster without."""

    name: str
    title: str
    brokers: int
    scenario: str = ""
    base_port: int = 19092
    settings: dict[str, str] = field(default_factory=dict)


TEMPLATES: dict[str, Template] = {
    t.name: t
    for t in (
        Template("notifications", "Notifications (demo)", 3, "notifications"),
        Template("single", "Single broker", 1, base_port=9092),
    )
}
