"""Name how a request to a cluster can fail: a tree of errors, each with a message and a next step.

``str(error)`` says what happened and why, ``next_step`` what to do about it. Neither ever holds a
secret. Text that came from the cluster is in ``detail`` only, as data.
"""

from __future__ import annotations


class ClientError(Exception):
    """A request failed. ``subject`` names what it was about: a broker, a topic, a group."""

    retriable = True
    """Whether the same request may succeed later."""

    def __init__(
        self, message: str, *, next_step: str = "", subject: str = "", detail: str = ""
    ) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.subject = subject
        self.detail = detail


class Unreachable(ClientError):
    """No connection to that address: refused, no route, unknown name, or TLS or SASL failed before
    any request."""


class TimedOut(ClientError):
    """No answer within the deadline; a change may or may not have been carried out."""


class Denied(ClientError):
    """The login failed, or the user lacks a permission; ``next_step`` names it."""

    retriable = False


class Rejected(ClientError):
    """The cluster answered with an error code; ``name`` is Kafka's name of it."""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        name: str,
        retriable: bool = False,
        next_step: str = "",
        subject: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step, subject=subject, detail=detail)
        self.code = code
        self.name = name
        self.retriable = retriable


class Unsupported(ClientError):
    """The cluster's version does not support the request."""

    retriable = False


class ReadOnly(ClientError):
    """This connection is marked read-only; nothing was sent."""

    retriable = False


class BadInput(ClientError):
    """The request itself is invalid (a malformed profile, a value of the wrong type); nothing was
    sent."""

    retriable = False


class TooLarge(ClientError):
    """The cluster answered with more than this application takes in: see ``wire.limits``."""
