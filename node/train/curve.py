"""The validation curve of a member: one line a look, kept as a table beside the bundle."""

from dataclasses import astuple, dataclass
from pathlib import Path

from node.durable import write_durably

_COLUMNS = ("step", "minutes", "loss", "dice_bodies", "dice_discs", "cases", "kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the validation cases showed."""

    step: int
    minutes: float
    loss: float  #: running mean of the training loss
    dice_bodies: float
    dice_discs: float
    cases: int  #: how many cases could be trained on so far
    kept: bool  #: whether this snapshot was the best until then

    @property
    def dice(self) -> float:
        """The mean of both, by which snapshots are chosen."""
        return (self.dice_bodies + self.dice_discs) / 2


def write_curve(path: Path, looks: list[Look]) -> None:
    """Write the looks as tab-separated values under a line of names."""
    rows = ["\t".join(_COLUMNS), *("\t".join(map(_text, astuple(look))) for look in looks)]
    write_durably(path, [("\n".join(rows) + "\n").encode("ascii")])


def _text(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(int(value))


def read_curve(path: Path) -> list[Look]:
    """Return the looks of a table that `write_curve` wrote. Raises OSError, ValueError."""
    names, *rows = path.read_text(encoding="ascii").splitlines()
    if tuple(names.split("\t")) != _COLUMNS:
        raise ValueError(f"{path}: not a validation curve")
    looks = []
    for row in rows:
        step, minutes, loss, bodies, discs, cases, kept = row.split("\t")
        looks.append(
            Look(
                step=int(step),
                minutes=float(minutes),
                loss=float(loss),
                dice_bodies=float(bodies),
                dice_discs=float(discs),
                cases=int(cases),
                kept=kept == "1",
            )
        )
    return looks
