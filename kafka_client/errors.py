"""How a question to a cluster can fail: one tree of errors, each with a sentence and a next step.

``str(error)`` is what happened and why; ``next_step`` is what to do about it. Neither ever holds
a secret; text that came from the cluster is in ``detail`` only, as data.
"""

from __future__ import annotations


class ClientError(Exception):
    """The question was not answered. ``subject`` names what it was about: a broker, a topic, a
    group."""

    retriable = True

    def __init__(
        self, sentence: str, *, next_step: str = "", subject: str = "", detail: str = ""
    ) -> None:
        super().__init__(sentence)
        self.next_step = next_step
        self.subject = subject
        self.detail = detail


class Unreachable(ClientError):
    """Nobody answers at that address: refused, no route, name unknown, TLS or login failed before
    any request."""


class TimedOut(ClientError):
    """No answer within the deadline; a change may or may not have been carried out."""


class Denied(ClientError):
    """Logged in, but not allowed; ``next_step`` names the missing permission."""

    retriable = False


class Rejected(ClientError):
    """The cluster answered with an error code."""

    def __init__(
        self,
        sentence: str,
        *,
        code: int,
        name: str,
        retriable: bool = False,
        next_step: str = "",
        subject: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(sentence, next_step=next_step, subject=subject, detail=detail)
        self.code = code
        self.name = name
        self.retriable = retriable


class Unsupported(ClientError):
    """The cluster's version does not offer the request."""

    retriable = False


class ReadOnly(ClientError):
    """This connection is marked read-only; nothing was sent."""

    retriable = False


class BadInput(ClientError):
    """What was asked for cannot be right (a malformed profile, a filter that does not parse)."""

    retriable = False
