"""What nnU-Net's trainer prints, as numbers."""

import math
import re
from dataclasses import dataclass, replace

_EPOCH = re.compile(r"\bEpoch (\d+)\s*$")
_LOSS = re.compile(r"\b(train|val)_loss (\S+)\s*$")
_DICE = re.compile(r"\bPseudo dice (\[.*\])\s*$")
_TIME = re.compile(r"\bEpoch time: (\S+) s\s*$")
_PREDICTING = re.compile(r"\bpredicting \S+\s*$")
_NUMPY = re.compile(r"np\.float\d+")
_NUMBER = re.compile(r"nan|-?\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a fold is: epochs that are done of all (None where nobody says), and the figures of the last one.

    `dice`: nnU-Net's pseudo Dice by label, NaN for a label that no patch had. `validating`: cases begun after training.
    """

    name: str
    done: int = 0
    epochs: int | None = None
    train_loss: float = math.nan
    val_loss: float = math.nan
    dice: tuple[float, ...] = ()
    epoch_s: float = math.nan
    validating: int = 0

    @property
    def left_s(self) -> float:
        """Seconds of training that are left, at the pace of the last epoch; NaN where that is not known."""
        return math.nan if self.epochs is None else (self.epochs - self.done) * self.epoch_s


def after(progress: Progress, line: str) -> Progress:
    """Return the progress once the trainer has printed `line`; the same object where it says nothing about it.

    >>> after(Progress(name="2d fold 0"), "2026-01-01 00:00:00.0: Pseudo dice [np.float32(0.91), 0.5]").dice
    (0.91, 0.5)
    """
    if match := _EPOCH.search(line):
        return replace(progress, done=int(match[1]))
    if match := _LOSS.search(line):
        value = _number(match[2])
        return replace(progress, train_loss=value) if match[1] == "train" else replace(progress, val_loss=value)
    if match := _DICE.search(line):
        return replace(progress, dice=tuple(float(text) for text in _NUMBER.findall(_NUMPY.sub("", match[1]))))
    if match := _TIME.search(line):
        return replace(progress, epoch_s=_number(match[1]), done=progress.done + 1)
    if _PREDICTING.search(line):
        return replace(progress, validating=progress.validating + 1)
    return progress


def _number(text: str) -> float:
    try:
        return float(_NUMPY.sub("", text).strip("()"))
    except ValueError:
        return math.nan
