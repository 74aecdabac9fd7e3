"""The record of all work."""

from node.errors.root import NodeError


class JournalError(NodeError):
    """The record of all work cannot be read or written."""

    code = "journal-error"
    retryable = True
    exit_code = 74


class IllegalTransition(JournalError):
    """A state may not follow another."""

    code = "illegal-transition"
    retryable = False


class NodeAlreadyRunning(JournalError):
    """Another process owns this journal."""

    code = "node-already-running"
    retryable = False
    exit_code = 75
