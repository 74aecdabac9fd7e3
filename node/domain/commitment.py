"""Storage commitment: one side asks whether objects are kept for good, the other answers later (PS3.4 J)."""

from dataclasses import dataclass

#: No such object instance (PS3.7 C.5.17 and PS3.3 C.14.1.1).
NO_SUCH_OBJECT = 0x0112
#: Class - instance conflict: the instance is kept, under another SOP Class (PS3.7 C.5.7).
CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One object that is meant (PS3.3 C.14, Referenced SOP Sequence)."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One object that is not kept, and why (PS3.3 C.14.1.1, Failure Reason)."""

    reference: Reference
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """An N-ACTION that came in (PS3.4 J.3.2)."""

    transaction_uid: str
    #: AE title of who asks.
    asked_by: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReport:
    """What an N-EVENT-REPORT says (PS3.4 J.3.3). It may come late, twice, or speak of a part of what was asked."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[Failure, ...]
