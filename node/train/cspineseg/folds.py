"""How far the training of one fold is, by the files that nnU-Net left.

nnU-Net writes its checkpoints in place: one that a kill cut short is no zip any more. It is set aside, and the next
older one is taken.
"""

import zipfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from node.errors import InputError
from node.segment.models.modelfolder import BEST, FINAL
from node.train.cspineseg.workspace import Json, read_json

LATEST = "checkpoint_latest.pth"


class Stage(Enum):
    """How far a fold is, and so what comes next."""

    #: Nothing that can be gone on from.
    NEW = "new"
    #: A checkpoint is there; `--c` goes on from it.
    BEGUN = "begun"
    #: All epochs are done, the validation is not; `--val` does it.
    TRAINED = "trained"
    #: The final checkpoint and the validation's summary are there.
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold of one configuration: `folder` is nnU-Net's `fold_<number>`, which need not be there."""

    configuration: str
    number: int
    folder: Path

    @property
    def name(self) -> str:
        """How it is called, such as "2d fold 0"."""
        return f"{self.configuration} fold {self.number}"

    def stage(self) -> Stage:
        """Return how far it is. Damaged checkpoints count as none, and stay."""
        if is_whole(self.folder / FINAL):
            return Stage.DONE if self.summary() is not None else Stage.TRAINED
        return Stage.BEGUN if any(is_whole(self.folder / name) for name in (LATEST, BEST)) else Stage.NEW

    def summary(self) -> Json | None:
        """Return nnU-Net's figures on the fold's validation part; None where they are not there or not whole."""
        try:
            summary = read_json(self.folder / "validation" / "summary.json")
        except InputError:
            return None
        return summary if "foreground_mean" in summary else None

    def set_damaged_aside(self) -> list[str]:
        """Rename the checkpoints that a kill cut short, so that nnU-Net does not take them; return their names."""
        damaged = [name for name in (FINAL, LATEST, BEST) if (self.folder / name).is_file()]
        damaged = [name for name in damaged if not is_whole(self.folder / name)]
        for name in damaged:
            (self.folder / name).replace(self.folder / f"{name}.damaged")
        return damaged


def is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint is there with all its bytes: torch writes a zip with check sums, its index last."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (FileNotFoundError, zipfile.BadZipFile, EOFError):
        return False
