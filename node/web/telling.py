"""What stands in the journal of a case, as people read it: the tone of a state, what happened, how long it took."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from node.journal.dossier import Told
from node.web.amounts import age

#: How a state looks beside its word: good, warn, bad, quiet, or as any other. Of cases, deliveries and verdicts.
_TONES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("delivered", "good"), "good"),
        **dict.fromkeys(("held", "review"), "warn"),
        **dict.fromkeys(("undelivered", "quarantined", "refused", "reject"), "bad"),
        **dict.fromkeys(("rejected", "cancelled", "superseded"), "quiet"),
    }
)
#: What an event says of itself, in this order; what is not named here (UIDs among it) is not shown.
_TELLING: Sequence[tuple[str, Callable[[Any], str]]] = (
    ("by", lambda value: f"by {value}"),
    ("action", str),
    ("calling_ae", lambda value: f"from {value}"),
    ("route", lambda value: f"route {value}"),
    ("partial", lambda value: "without waiting longer for missing instances" if value else ""),
    ("destination", lambda value: f"to {value}"),
    ("verdict", lambda value: f"verdict {value}"),
    ("seconds", lambda value: f"{span(value)} of work"),
    ("code", str),
    ("text", str),
)


def tone(word: str) -> str:
    """Return the class that a state or verdict is shown with, "" for one that is neither good nor bad."""
    return _TONES.get(word, "")


def span(seconds: float) -> str:
    """Return a duration, a short one to the millisecond.

    >>> span(0.0312), span(12.34), span(95)
    ('31 ms', '12.3 s', '1 min 35 s')
    """
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    return f"{seconds:.1f} s" if seconds < 60 else age(seconds)


def told(event: Told) -> str:
    """Return what an event says beside its name: only what identifies nobody."""
    said = [tell(event.detail[name]) for name, tell in _TELLING if event.detail.get(name) not in (None, "")]
    said += [f"{reason['code']}: {reason['text']}" for reason in event.detail.get("reasons") or ()]
    return "; ".join(filter(None, said))


def steps(events: Sequence[Told]) -> list[str]:
    """Return how long after the one before it each event was; "" for the first."""
    times = [datetime.fromisoformat(event.at) for event in events]
    seconds = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    return ["", *(f"+{span(step)}" if step >= 0 else "clock was set back" for step in seconds)][: len(events)]
