"""The errors that members of a group get when a write to ``__consumer_offsets``
fails."""

from __future__ import annotations

from kafka_protocol.errors import ErrorCode


def group_error(error_code: int) -> int:
    """Translate a failed write into the error for a member of a group."""
    match error_code:
        # The write may succeed at the same coordinator later.
        case (
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode.NOT_ENOUGH_REPLICAS
            | ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | ErrorCode.REQUEST_TIMED_OUT
        ):
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        # It may succeed at another one.
        case ErrorCode.NOT_LEADER_OR_FOLLOWER | ErrorCode.KAFKA_STORAGE_ERROR:
            return ErrorCode.NOT_COORDINATOR
        case (
            ErrorCode.MESSAGE_TOO_LARGE
            | ErrorCode.RECORD_LIST_TOO_LARGE
            | ErrorCode.INVALID_FETCH_SIZE
        ):
            return ErrorCode.UNKNOWN_SERVER_ERROR
    return error_code


def commit_error(error_code: int) -> int:
    """Translate a failed write into the error for an OffsetCommit."""
    match error_code:
        case (
            ErrorCode.MESSAGE_TOO_LARGE
            | ErrorCode.RECORD_LIST_TOO_LARGE
            | ErrorCode.INVALID_FETCH_SIZE
        ):
            return ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    return group_error(error_code)
