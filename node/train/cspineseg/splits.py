"""Who is trained on, who is tested on, and the five folds: whole patients, drawn by a seed.

The published model was developed on 391 exams and tested on 100, drawn at random; no file says which. So a split is
drawn here: patients in the order of SHA-256 of the seed and their name. It does not follow from the order of files or
from the random numbers of a library.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.errors import InputError
from node.train.cspineseg.workspace import FOLDS, Json, read_json

#: Exams with expert masks for development and for the test, as published.
PUBLISHED = (391, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose exam it is, and the exam's key. Two exams are of one patient where `patient` is the same."""

    key: str
    patient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Keys of exams: each is in `test` or in one of the `folds`, each patient in one place only."""

    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]

    @property
    def train(self) -> tuple[str, ...]:
        """All that are not tested on, sorted."""
        return tuple(sorted(key for fold in self.folds for key in fold))


def published_share(exams: int) -> int:
    """Return how many of `exams` are for the test, in the ratio of the published split.

    >>> published_share(491), published_share(24)
    (100, 5)
    """
    return max(1, round(exams * PUBLISHED[1] / sum(PUBLISHED)))


def draw(people: Sequence[Person], seed: int, test: int, more: Sequence[Person] = ()) -> Split:
    """Return the split of a seed with `test` exams in the test part, or as near to it as whole patients allow.

    Exams in `more` are for training alone; those of patients who are tested on get no place. Raises InputError where
    fewer than five patients are left to train on.
    """
    counts = Counter(person.patient for person in people)
    order = sorted(counts, key=lambda patient: _place(seed, "test", patient))
    tested = _taken(order, counts, test)
    learning = [person for person in (*people, *more) if person.patient not in tested]
    return Split(
        test=tuple(sorted(person.key for person in people if person.patient in tested)),
        folds=draw_folds(learning, seed),
    )


def draw_folds(people: Sequence[Person], seed: int) -> tuple[tuple[str, ...], ...]:
    """Return five folds of whole patients, as even in exams as may be. Raises InputError under five patients."""
    counts = Counter(person.patient for person in people)
    if len(counts) < FOLDS:
        raise InputError(f"{len(counts)} patients to train on do not make {FOLDS} folds")
    folds: list[set[str]] = [set() for _ in range(FOLDS)]
    loads = [0] * FOLDS
    for patient in sorted(counts, key=lambda patient: (-counts[patient], _place(seed, "fold", patient))):
        lightest = loads.index(min(loads))
        folds[lightest].add(patient)
        loads[lightest] += counts[patient]
    return tuple(tuple(sorted(person.key for person in people if person.patient in fold)) for fold in folds)


def read_split(path: Path, people: Sequence[Person], seed: int) -> Split:
    """Return the split that a file names: JSON with `train` and `test`, lists of patients or of keys of exams.

    `folds`, five such lists, may stand in the place of `train`; else they are drawn by the seed. Exams that the file
    does not name take no part. Raises InputError where a name is unknown or twice, or a patient is on both sides.
    """
    content = read_json(path)
    parts = _lists(path, content)
    found = {name: _resolved(path, name, names, people) for name, names in parts.items()}
    patients = {person.key: person.patient for person in people}
    _refuse_two_places(path, found, patients)
    test = tuple(sorted(found.pop("test")))
    if "train" in found:
        folds = draw_folds([person for person in people if person.key in found["train"]], seed)
    else:
        folds = tuple(tuple(sorted(keys)) for keys in found.values())
    if not test or not all(folds):
        raise InputError(f"{path}: a part of the split is empty")
    return Split(test=test, folds=folds)


def split_document(split: Split) -> Json:
    """Return a split as `read_split` reads it."""
    return {"test": list(split.test), "folds": [list(fold) for fold in split.folds]}


def nnunet_splits(folds: Sequence[Sequence[str]]) -> list[dict[str, list[str]]]:
    """Return the folds as nnU-Net's splits_final.json has them: one entry a fold, with names of cases."""
    return [
        {"train": [name for other in folds if other is not fold for name in other], "val": list(fold)} for fold in folds
    ]


def _place(seed: int, purpose: str, patient: str) -> str:
    return hashlib.sha256(f"{seed}/{purpose}/{patient}".encode()).hexdigest()


def _taken(order: Sequence[str], counts: Mapping[str, int], wanted: int) -> set[str]:
    """Return the first patients in the order whose exams are `wanted` in number, or the nearest number there is.

    `sums[i]` has bit n set where some of the patients from the i-th on have n exams together.
    """
    sums = [1] * (len(order) + 1)
    for place in reversed(range(len(order))):
        sums[place] = sums[place + 1] | sums[place + 1] << counts[order[place]]
    total = sum(counts.values())
    left = min((number for number in range(total + 1) if sums[0] >> number & 1), key=lambda n: (abs(n - wanted), n))
    taken: set[str] = set()
    for place, patient in enumerate(order):
        rest = left - counts[patient]
        if rest >= 0 and sums[place + 1] >> rest & 1:
            taken.add(patient)
            left = rest
    return taken


def _lists(path: Path, content: Json) -> dict[str, list[str]]:
    folds = content.get("folds")
    parts = {"test": content.get("test")}
    if folds is None:
        parts["train"] = content.get("train")
    elif isinstance(folds, list) and len(folds) == FOLDS:
        parts.update({f"folds[{number}]": names for number, names in enumerate(folds)})
    else:
        raise InputError(f"{path}: folds: not a list of {FOLDS} lists")
    checked: dict[str, list[str]] = {}
    for name, names in parts.items():
        if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
            raise InputError(f"{path}: {name}: not a list of names")
        checked[name] = names
    return checked


def _resolved(path: Path, part: str, names: Iterable[str], people: Sequence[Person]) -> set[str]:
    by_name: dict[str, set[str]] = {}
    for person in people:
        by_name.setdefault(person.patient, set()).add(person.key)
        by_name.setdefault(person.key, set()).add(person.key)
    wanted = list(names)
    if unknown := [place for place, name in enumerate(wanted) if name not in by_name]:
        raise InputError(f"{path}: {part}[{unknown[0]}] and {len(unknown) - 1} more: no exam that can be used")
    return set[str]().union(*(by_name[name] for name in wanted))


def _refuse_two_places(path: Path, found: Mapping[str, set[str]], patients: Mapping[str, str]) -> None:
    places: dict[str, set[str]] = {}
    for part, keys in found.items():
        for key in keys:
            places.setdefault(patients[key], set()).add(part)
    if both := [parts for parts in places.values() if len(parts) > 1]:
        raise InputError(f"{path}: {len(both)} patients are in two places ({' and '.join(sorted(both[0]))})")
