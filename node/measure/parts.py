"""A part of a label map that is one structure, before it is measured."""

from dataclasses import dataclass

from node.domain.anatomy import Level, StructureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One body, block or disc of a label map; parts are in order from head to feet, labels count from 1."""

    label: int
    kind: StructureKind
    #: None where the evidence is too weak for a name.
    level: Level | None
    #: 0 to 1: how sure the name is.
    confidence: float
    #: Whether the field of view cuts it.
    truncated: bool
