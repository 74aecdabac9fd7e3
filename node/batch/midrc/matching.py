"""Which series an image or a mask belongs to: by the tables, by its name, and failing those by its place in space."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Defect, MatchedBy
from node.batch.midrc.geometry import Box, fits
from node.batch.midrc.names import FileName, parse_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A series that files may belong to.

    `labels`: the names that rows know it by, in small letters; `studies`, `patients`: those of its study and patient.
    `box`: where its voxels lie, None where nobody knows. `digest`: of its voxels, None where they were not read.
    """

    key: str
    labels: frozenset[str]
    studies: frozenset[str]
    patients: frozenset[str]
    box: Box | None
    digest: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An image or a mask. `tabled`: the keys of the series that the tables give it to.

    `beside`: the key of the series whose image has the same name; None for an image.
    """

    name: FileName
    tabled: frozenset[str]
    beside: str | None
    box: Box | None
    digest: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a file belongs to, and by which evidence; `key` is None where it belongs to nothing that is known.

    `extra`: it belongs to `key`, which has a better one already.
    """

    key: str | None
    by: MatchedBy | None
    defects: tuple[Defect, ...] = ()
    extra: bool = False


_AMBIGUOUS = Match(key=None, by=None, defects=(defect(DefectCode.MATCH_AMBIGUOUS),))
_CONTRADICTS = (defect(DefectCode.MATCH_CONTRADICTS),)


def match(candidates: Sequence[Candidate], targets: Sequence[Target]) -> tuple[Match, ...]:
    """Return what each candidate belongs to; a series gets one candidate, and others that contend for it are extra.

    What tables or names say goes first; geometry decides among the series that are then left.
    """
    known = _Known(targets)
    matches = [_by_word(candidate, known) for candidate in candidates]
    _settle(candidates, matches, known)
    taken = {found.key for found in matches}
    free = [target for target in targets if target.key not in taken]
    for number, found in enumerate(matches):
        if found.key is None and not found.defects:
            matches[number] = _by_geometry(candidates[number], free, targets)
    _settle(candidates, matches, known)
    return tuple(matches)


class _Known:
    """The series by what names may say of them."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.by_key = {target.key: target for target in targets}
        self._by_patient: dict[str, list[Target]] = defaultdict(list)
        self._by_label: dict[str, list[Target]] = defaultdict(list)
        for target in self.by_key.values():
            for patient in target.patients:
                self._by_patient[patient].append(target)
            for label in target.labels:
                self._by_label[label].append(target)

    def named(self, candidate: Candidate) -> Sequence[Target]:
        """Return the series that a name speaks of: that of the image of this name, else those of its patient."""
        if candidate.beside in self.by_key:
            return [self.by_key[candidate.beside]]
        exactly = self._by_label.get(candidate.name.stem)
        if exactly:
            return exactly
        of_patient = self._by_patient.get(candidate.name.patient or "", [])
        numbers = candidate.name.numbers
        numbered = [
            target
            for target in of_patient
            if numbers != (None, None) and any(parse_name(label).numbers == numbers for label in target.labels)
        ]
        return numbered or of_patient


def _by_word(candidate: Candidate, known: _Known) -> Match:
    """Match by table, else by name. Where a name fits several series, geometry decides among them."""
    tabled = [known.by_key[key] for key in sorted(candidate.tabled)]
    named = known.named(candidate)
    if tabled:
        left = _narrowed(candidate, tabled, named)
        return _tabled(candidate, left[0], named) if len(left) == 1 else _AMBIGUOUS
    if len(named) == 1:
        return Match(key=named[0].key, by=MatchedBy.NAME)
    fitting = _alike(candidate, named)
    if len(fitting) == 1:
        return Match(key=fitting[0].key, by=MatchedBy.GEOMETRY)
    return _AMBIGUOUS if named else Match(key=None, by=None)


def _tabled(candidate: Candidate, tabled: Target, named: Sequence[Target]) -> Match:
    """Match by table, unless name and geometry agree on another series."""
    if not named or tabled in named:
        return Match(key=tabled.key, by=MatchedBy.TABLE)
    fitting = [target for target in named if _fits(candidate, target)]
    if _fits(candidate, tabled) is False and len(fitting) == 1:
        return Match(key=fitting[0].key, by=MatchedBy.NAME, defects=_CONTRADICTS)
    return Match(key=tabled.key, by=MatchedBy.TABLE, defects=_CONTRADICTS)


def _narrowed(candidate: Candidate, tabled: Sequence[Target], named: Sequence[Target]) -> Sequence[Target]:
    """Return which of several series the tables can mean: such with files, that fit, that the name speaks of."""
    left = tabled
    for better in ([target for target in left if target.box is not None], _alike(candidate, left), named):
        left = [target for target in left if target in better] or left
    return left


def _by_geometry(candidate: Candidate, free: Sequence[Target], targets: Sequence[Target]) -> Match:
    """Match by geometry alone, where exactly one series fits."""
    fitting = _alike(candidate, free)
    if len(fitting) == 1:
        return Match(key=fitting[0].key, by=MatchedBy.GEOMETRY)
    if fitting:
        return _AMBIGUOUS
    taken = _alike(candidate, targets)
    if len(taken) == 1:
        return Match(key=taken[0].key, by=MatchedBy.GEOMETRY, extra=True)
    return Match(key=None, by=None)


def _alike(candidate: Candidate, targets: Sequence[Target]) -> list[Target]:
    """Return the series on whose voxels the candidate lies; among several those with the same values, if any."""
    fitting = [target for target in targets if _fits(candidate, target)]
    same = [target for target in fitting if candidate.digest is not None and target.digest == candidate.digest]
    return same or fitting


def _fits(candidate: Candidate, target: Target) -> bool | None:
    """Return whether the candidate lies on the voxels of the series, None where nobody knows."""
    if candidate.box is None or target.box is None:
        return None
    return fits(candidate.box, target.box)


def _settle(candidates: Sequence[Candidate], matches: list[Match], known: _Known) -> None:
    """Leave each series its best candidate; another goes to the series that its name alone means, or is extra."""
    claims: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(matches):
        if found.key is not None and not found.extra:
            claims[found.key].append(number)
    claimed: set[str | None] = set(claims)
    for key, numbers in claims.items():
        target = known.by_key[key]
        best = min(numbers, key=lambda number: _rank(candidates[number], matches[number], target))
        for number in (number for number in numbers if number != best):
            matches[number] = _second_choice(candidates[number], matches[number], known, claimed)
            claimed |= {matches[number].key}


def _second_choice(candidate: Candidate, found: Match, known: _Known, claimed: set[str | None]) -> Match:
    named = [target for target in known.named(candidate) if target.key not in claimed]
    if len(named) == 1 and _fits(candidate, named[0]) is not False:
        return Match(key=named[0].key, by=MatchedBy.NAME, defects=_CONTRADICTS)
    return Match(key=found.key, by=found.by, defects=found.defects, extra=True)


def _rank(candidate: Candidate, found: Match, target: Target) -> tuple[bool | int | str, ...]:
    """Return what sorts the best of several candidates for a series first."""
    return (
        _fits(candidate, target) is False,
        list(MatchedBy).index(found.by or MatchedBy.GEOMETRY),
        bool(found.defects),
        candidate.beside != target.key,
        candidate.digest is None or candidate.digest != target.digest,
        len(candidate.name.stem),
        candidate.name.stem,
    )
