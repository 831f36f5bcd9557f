"""The declaration of one setting: name, type, default, bounds and text.

Settings are declared once, in the tables beside this file; parsing, checks, DescribeConfigs,
editors and help all use those. Type numbers are those of DescribeConfigs (KIP-226, KIP-569).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Any

Value = bool | int | float | str | tuple[str, ...] | None

LONG_MAX = 2**63 - 1
INT_MAX = 2**31 - 1


class Type(IntEnum):
    """The type of a value, with the number that DescribeConfigs uses."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Dynamic(Enum):
    """Tells whether a setting can change while a broker runs, and for which brokers (KIP-226)."""

    NO = "no"
    PER_BROKER = "per-broker"
    CLUSTER = "cluster"


class SettingError(Exception):
    """An invalid setting; the text names the key, its value unless that is secret, and what is
    allowed."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a broker or a topic.

    ``least`` and ``most`` are inclusive. ``effect`` is False for a setting of Kafka that is
    accepted and changes nothing here.
    """

    name: str
    type: Type
    default: Value
    text: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    scope: str = "broker"
    dynamic: Dynamic = Dynamic.NO
    sensitive: bool = False
    effect: bool = True
    synonyms: tuple[str, ...] = ()
    """Broker settings that apply where this one is not set, in order of precedence."""
    check: Callable[[Value], str] | None = None
    """Returns what is allowed when the value is invalid, else an empty string."""

    @property
    def explanation(self) -> str:
        """The text for a reader, with a note when the setting has no effect."""
        return self.text if self.effect else f"{self.text} (accepted, no effect in this cluster)"

    def allowed(self) -> str:
        """Describe the allowed values in words."""
        match self.type:
            case Type.BOOLEAN:
                return "true or false"
            case Type.INT | Type.SHORT | Type.LONG:
                kind = "a whole number"
            case Type.DOUBLE:
                kind = "a number"
            case Type.LIST:
                kind = "a list, separated by commas"
            case _:
                kind = "a text"
        unit = f" ({self.unit})" if self.unit else ""
        if self.choices:
            few = "any of" if self.type is Type.LIST else "one of"
            return f"{few} {', '.join(c for c in self.choices if c)}"
        if self.least is not None and self.most is not None:
            return f"{kind} from {_plain(self.least)} to {_plain(self.most)}{unit}"
        if self.least is not None:
            return f"{kind} of at least {_plain(self.least)}{unit}"
        if self.most is not None:
            return f"{kind} of at most {_plain(self.most)}{unit}"
        return kind + unit

    def parse(self, text: str) -> Value:
        """Return the typed value of a text from a file or a request.

        Raises:
            SettingError: another type, out of bounds, or not among the choices.
        """
        text = text.strip()
        value: Value
        match self.type:
            case Type.BOOLEAN:
                if text.lower() not in ("true", "false"):
                    raise self._refused(text)
                return text.lower() == "true"
            case Type.INT | Type.SHORT | Type.LONG:
                value = self._whole(text)
            case Type.DOUBLE:
                try:
                    value = float(text)
                except ValueError:
                    raise self._refused(text) from None
                self._bounds(value, text)
            case Type.LIST:
                value = tuple(part.strip() for part in text.split(",") if part.strip())
                if self.choices and any(part not in self.choices for part in value):
                    raise self._refused(text)
            case _:
                value = text
                if self.choices:
                    value = next((c for c in self.choices if c.lower() == text.lower()), text)
                    if value not in self.choices:
                        raise self._refused(text)
        wrong = self.check(value) if self.check else ""
        if wrong:
            raise self._refused(text, wrong)
        return value

    def show(self, value: Value) -> str | None:
        """Return the value as text for a properties file, or None if it has none."""
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return ",".join(value)
        return str(value)

    def _whole(self, text: str) -> int:
        bits = {Type.SHORT: 15, Type.INT: 31, Type.LONG: 63}[self.type]
        # int() would accept other digits, spaces and underscores, and is slow for long texts.
        digits = text[1:] if text[:1] in ("-", "+") else text
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
            raise self._refused(text)
        value = int(text)
        if not -(2**bits) <= value < 2**bits:
            raise self._refused(text)
        self._bounds(value, text)
        return value

    def _bounds(self, value: float, text: str) -> None:
        low = self.least is not None and not value >= self.least
        high = self.most is not None and not value <= self.most
        if low or high or value != value:  # NaN
            raise self._refused(text)

    def _refused(self, text: str, why: str = "") -> SettingError:
        shown = "[hidden]" if self.sensitive else text
        return SettingError(f"{self.name}={shown}: {why or f'allowed is {self.allowed()}'}")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def table(*options: Option) -> dict[str, Option]:
    """Return the options by name."""
    found = {o.name: o for o in options}
    assert len(found) == len(options), "a setting is declared twice"
    return found


def inert(*options: Option) -> tuple[Option, ...]:
    """Mark options that are accepted and listed, and change nothing here."""
    return tuple(replace(o, effect=False) for o in options)


def _maker(type_: Type) -> Callable[..., Option]:
    def make(name: str, default: Any, text: str, **more: Any) -> Option:
        return Option(name, type_, default, text, **more)

    return make


boolean = _maker(Type.BOOLEAN)
string = _maker(Type.STRING)
int_ = _maker(Type.INT)
long = _maker(Type.LONG)
double = _maker(Type.DOUBLE)
list_ = _maker(Type.LIST)
class_ = _maker(Type.CLASS)
password = _maker(Type.PASSWORD)
