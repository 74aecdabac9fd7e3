"""Many cases in a row: whether the engine's memory grows."""

from typing import Any

from node.bench.engine import warm_engine
from node.bench.subject import Subject, phantom_volume

_SHAPE = (9, 160, 160)
_SPACING_MM = (4.0, 1.0, 1.0)
_POINTS = 20


def measure(subject: Subject, cases: int) -> dict[str, Any]:
    """Return the resident memory of the engine's process, warm and then along `cases` cases of a small volume."""
    volume = phantom_volume(_SHAPE, _SPACING_MM, subject.scratch / "small")
    every = max(1, cases // _POINTS)
    with warm_engine(subject.bundle, subject.model("fast"), volume) as engine:
        warm = engine.resident_bytes
        along = []
        for number in range(1, cases + 1):
            engine.segment(volume)
            if number % every == 0 or number == cases:
                along.append([number, engine.resident_bytes])
                subject.step(f"memory: {number} of {cases} cases")
    return {
        "cases": cases,
        "shape": list(_SHAPE),
        "resident_bytes_warm": warm,
        "resident_bytes_along": along,
        "growth_bytes": along[-1][1] - warm,
    }
