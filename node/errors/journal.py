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


class JournalDamaged(JournalError):
    """What the journal holds is not what was written; `cspine-node journal rebuild` makes a new one from the spool."""

    code = "journal-damaged"
    retryable = False


class UnknownCase(JournalError):
    """The journal has no case of this number."""

    code = "unknown-case"
    retryable = False
    exit_code = 65
