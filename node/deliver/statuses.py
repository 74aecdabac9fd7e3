"""What the answer to a C-STORE or STOW-RS means for the object: the standard's statuses as a table.

PS3.4 B.2.3 and PS3.7 9.1.1.1.9, C (C-STORE); PS3.18 I.2.2 (Failure Reason of STOW-RS, the same numbers and 0xC122).

    taken               success, or a warning: the object is stored, the warning is noted
    unsure              a duplicate: there is an object of this UID, whichever; asked for, then delivered
    out of resources    tried again; the whole destination is left alone for a while
    failed              tried again, with growing pauses
    cannot understand   tried again a few times (`node.outbox`): some archives answer so while they restart or are short
                        of something, others mean it
    misconfigured       tried again after a long pause: the node is not authorised, and an operator has to act
    refused             never tried again
"""

from enum import Enum

from node.errors import (
    CannotUnderstand,
    DeliveryError,
    DestinationMisconfigured,
    OutOfResources,
    StoreFailed,
    StoreRefused,
)


class Meaning(Enum):
    """What a status means."""

    TAKEN = "taken"
    WARNING = "warning"
    DUPLICATE = "duplicate"
    OUT_OF_RESOURCES = "out of resources"
    FAILED = "failed"
    CANNOT_UNDERSTAND = "cannot understand"
    MISCONFIGURED = "misconfigured"
    REFUSED = "refused"


#: (first, last, meaning, the standard's words); the first row that holds a status counts.
STORE_STATUSES: tuple[tuple[int, int, Meaning, str], ...] = (
    (0x0000, 0x0000, Meaning.TAKEN, "success"),
    (0x0001, 0x0001, Meaning.WARNING, "warning"),
    (0x0107, 0x0107, Meaning.WARNING, "attribute list error"),
    (0x0111, 0x0111, Meaning.DUPLICATE, "duplicate SOP instance"),
    (0x0116, 0x0116, Meaning.WARNING, "attribute value out of range"),
    (0x0117, 0x0117, Meaning.REFUSED, "invalid SOP instance"),
    (0x0122, 0x0122, Meaning.REFUSED, "SOP class not supported"),
    (0x0124, 0x0124, Meaning.MISCONFIGURED, "not authorised"),
    (0xA700, 0xA7FF, Meaning.OUT_OF_RESOURCES, "out of resources"),
    (0xA900, 0xA9FF, Meaning.REFUSED, "data set does not match SOP class"),
    (0xB000, 0xBFFF, Meaning.WARNING, "warning"),
    (0xC122, 0xC122, Meaning.REFUSED, "transfer syntax not supported"),
    (0xC000, 0xCFFF, Meaning.CANNOT_UNDERSTAND, "cannot understand"),
)

_ERRORS: dict[Meaning, type[DeliveryError]] = {
    Meaning.OUT_OF_RESOURCES: OutOfResources,
    Meaning.FAILED: StoreFailed,
    Meaning.CANNOT_UNDERSTAND: CannotUnderstand,
    Meaning.MISCONFIGURED: DestinationMisconfigured,
    Meaning.REFUSED: StoreRefused,
}


def meaning_of(status: int) -> tuple[Meaning, str]:
    """Return what a status means, and the standard's words; one that the table lacks is a failure that may pass."""
    for first, last, meaning, words in STORE_STATUSES:
        if first <= status <= last:
            return meaning, words
    return Meaning.FAILED, "processing failure" if status == 0x0110 else "failure"


def error_of(status: int, who: str) -> DeliveryError | None:
    """Return the error behind a status that `who` answered, None where the object is taken or there already."""
    meaning, words = meaning_of(status)
    kind = _ERRORS.get(meaning)
    return kind(f"{who} answered 0x{status:04X}: {words}") if kind else None


def note_of(status: int) -> str | None:
    """Return what is noted of a status beside success."""
    meaning, words = meaning_of(status)
    if meaning is Meaning.DUPLICATE:
        return f"0x{status:04X}: the destination had this object already"
    if meaning is not Meaning.WARNING:
        return None
    return f"warning 0x{status:04X}" if words == "warning" else f"warning 0x{status:04X}: {words}"
