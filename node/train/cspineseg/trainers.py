"""Which trainers the installed nnU-Net has. Its files are read, not imported: torch takes seconds."""

import importlib.util
import re
from pathlib import Path

from node.errors import InputError, SystemFailed
from node.segment.models.trainers import check_trainer

TRAINER = "nnUNetTrainer"
#: How long nnU-Net's own trainer trains.
EPOCHS = 1000

_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_LENGTH = re.compile(rf"{TRAINER}_(\d+)epochs?")


def trainer_of(epochs: int | None, name: str | None) -> str:
    """Return the name of the trainer for so many epochs, or of that name; nnU-Net's own where both are None.

    Raises InputError where nnU-Net has no such trainer, ModelRefused where its model could not be imported.
    """
    if name is not None and epochs is not None and epochs_of(name) != epochs:
        raise InputError(f"--trainer {name} and --epochs {epochs}: give one of them")
    there = installed()
    if name is not None:
        check_trainer(name)
        if name not in there:
            raise InputError(f"nnU-Net has no trainer {name}")
        return name
    if epochs is None or epochs == EPOCHS:
        return TRAINER
    lengths = {int(match[1]): trainer for trainer in there if (match := _LENGTH.fullmatch(trainer))}
    if epochs not in lengths:
        known = ", ".join(map(str, sorted({*lengths, EPOCHS})))
        raise InputError(f"nnU-Net has no trainer of {epochs} epochs; there are {known}")
    return lengths[epochs]


def epochs_of(trainer: str) -> int | None:
    """Return how many epochs a trainer trains, None where its name does not say.

    >>> epochs_of("nnUNetTrainer_1epoch"), epochs_of("nnUNetTrainer"), epochs_of("nnUNetTrainerDA5")
    (1, 1000, None)
    """
    if trainer == TRAINER:
        return EPOCHS
    match = _LENGTH.fullmatch(trainer)
    return int(match[1]) if match else None


def installed() -> frozenset[str]:
    """Return the names of all classes among nnU-Net's trainers. Raises SystemFailed without nnU-Net."""
    found = importlib.util.find_spec("nnunetv2")
    if found is None or not found.submodule_search_locations:
        raise SystemFailed("nnU-Net (nnunetv2) is not installed")
    folder = Path(found.submodule_search_locations[0]) / "training" / TRAINER
    return frozenset(name for file in folder.rglob("*.py") for name in _CLASS.findall(file.read_text("utf-8")))
