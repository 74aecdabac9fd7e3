"""The root, and errors of no particular stage."""

import traceback
from pathlib import Path
from typing import ClassVar


class NodeError(Exception):
    """Root of the tree; never raised itself."""

    code: ClassVar[str] = "node-error"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 70


class SettingsError(NodeError):
    """The configuration is wrong; the message names the full key path."""

    code = "settings-error"
    exit_code = 78


class SystemFailed(NodeError):
    """The machine failed, not the data: a file, a folder, a port."""

    code = "system-failed"
    retryable = True
    exit_code = 74


class Unanswered(SystemFailed):
    """The node was asked and has not answered; it may have done what it was asked for, or still do it."""

    code = "unanswered"
    retryable = False


class AnswerTooLarge(SystemFailed):
    """The node did what it was asked for, but what it has to say of it does not fit into an answer."""

    code = "answer-too-large"
    retryable = False


class BatchInterrupted(NodeError):
    """A batch cannot go on now; the same command goes on later from what is done."""

    code = "batch-interrupted"
    retryable = True
    exit_code = 75


class Unexpected(NodeError):
    """Nobody foresaw this. Made by `unexpected`, since the message of a foreign error may quote a patient."""

    code = "unexpected"
    retryable = True


def unexpected(error: BaseException) -> Unexpected:
    """Return an error that nobody foresaw as one of this tree, by its type and place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Unexpected(f"{type(error).__name__}{place}")
