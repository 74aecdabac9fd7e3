"""Exams as they come together: a series, its rows, and the image and the mask that are matched to it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Defect, Orphan
from node.batch.midrc.geometry import Box, box_of
from node.batch.midrc.images import ImageFacts
from node.batch.midrc.joins import Joins, SeriesRows
from node.batch.midrc.matching import Candidate, Match, Target, match
from node.batch.midrc.names import key_of, stem_of
from node.batch.midrc.series import PlaceFacts, SeriesFacts
from node.batch.midrc.tables import Row, words


@dataclass(slots=True, kw_only=True)
class Unit:
    """An exam as it comes together. `chosen`: of the series at its place the one that is meant."""

    key: str
    series_uid: str | None
    rows: SeriesRows
    place: PlaceFacts | None = None
    chosen: SeriesFacts | None = None
    image: ImageFacts | None = None
    image_match: Match | None = None
    mask: ImageFacts | None = None
    mask_match: Match | None = None
    defects: list[Defect] = field(default_factory=list)

    def target(self) -> Target:
        """Return what files are matched to."""
        at = self.place.at if self.place else None
        uids = (self.series_uid, self.chosen.series_uid if self.chosen else None)
        studies = (at.study_uid if at else None, self.chosen.study_uid if self.chosen else None)
        patients = self.rows.patients | frozenset({at.patient} if at and at.patient else ())
        if not patients and self.chosen is not None:
            patients = self.chosen.scanner.patients
        return Target(
            key=self.key,
            labels=self.rows.labels | {uid for uid in uids if uid},
            studies=self.rows.studies | {uid for uid in studies if uid},
            patients=patients,
            box=_box(self.chosen) or _box(self.image),
            digest=self.chosen.digest if self.chosen else None,
        )


class Units:
    """All exams by key. Files are matched to them one kind after another."""

    def __init__(self, places: Iterable[PlaceFacts], joins: Joins) -> None:
        self._joins = joins
        self.by_key: dict[str, Unit] = {}
        self.orphans: list[Orphan] = []
        for place in places:
            self._add_place(place)
        for uid in joins.series_uids():
            if key_of(uid) not in self.by_key:
                rows = joins.of_series(uid, None, None)
                self.by_key[key_of(uid)] = Unit(key=key_of(uid), series_uid=uid, rows=rows)
        self._targets = [unit.target() for unit in self.by_key.values()]
        self._referred = _Referred(self._targets)

    def __iter__(self) -> Iterator[Unit]:
        """Iterate over the exams."""
        return iter(self.by_key.values())

    def referred(self, row: Row) -> frozenset[str]:
        """Return the keys of the exams that a row of annotation_file refers to."""
        return self._referred.by(row)

    def add_images(self, images: Sequence[ImageFacts]) -> None:
        """Match images to the exams; one that belongs to none makes one of its own."""
        for image, found in self._matched(images, {}):
            unit = self._unit_of(image, found)
            if unit is not None:
                unit.image, unit.image_match = image, found

    def add_masks(self, masks: Sequence[ImageFacts]) -> None:
        """Match masks to the exams, which have their images by now."""
        self._targets = [unit.target() for unit in self]
        beside = {unit.image.name.stem: unit.key for unit in self if unit.image is not None}
        for mask, found in self._matched(masks, beside):
            unit = self._unit_of(mask, found)
            if unit is not None:
                unit.mask, unit.mask_match = mask, found

    def _add_place(self, place: PlaceFacts) -> None:
        chosen = _meant(place)
        uid = place.at.series_uid or (chosen.series_uid if chosen else None)
        study = place.at.study_uid or (chosen.study_uid if chosen else None)
        key = key_of(uid or stem_of(place.at.place.name))
        if key in self.by_key:
            twice = defect(DefectCode.FILE_TWICE, "Another zip or folder holds the same series; it is not taken.")
            self.orphans.append(Orphan(place=place.at.place, defect=twice))
            self.by_key[key].defects.append(twice)
            return
        rows = self._joins.of_series(uid, study, place.at.patient)
        self.by_key[key] = Unit(key=key, series_uid=uid, rows=rows, place=place, chosen=chosen)

    def _matched(self, files: Sequence[ImageFacts], beside: Mapping[str, str]) -> Iterator[tuple[ImageFacts, Match]]:
        candidates = [
            Candidate(
                name=file.name,
                tabled=frozenset(
                    key
                    for row in self._joins.of_file("annotation_file", file.at.place.name)
                    for key in self._referred.by(row)
                ),
                beside=beside.get(file.name.stem),
                box=_box(file),
                digest=file.digest,
            )
            for file in files
        ]
        return zip(files, match(candidates, self._targets), strict=True)

    def _unit_of(self, file: ImageFacts, found: Match) -> Unit | None:
        """Return the exam that a file goes to, a new one where it belongs to none; None for one too many, noted."""
        key = found.key or key_of(stem_of(file.at.place.name))
        unit = self.by_key.get(key)
        if unit is None:
            rows = self._joins.of_series(None, None, file.name.patient)
            defects = [*found.defects, defect(DefectCode.SERIES_UNKNOWN)]
            self.by_key[key] = Unit(key=key, series_uid=None, rows=rows, defects=defects)
            return self.by_key[key]
        unit.defects += found.defects
        if found.key is not None and not found.extra:
            return unit
        name = stem_of(file.at.place.name)
        twice = defect(DefectCode.FILE_TWICE, f"{name} claims to belong to it too; it is not taken.")
        unit.defects.append(twice)
        self.orphans.append(Orphan(place=file.at.place, defect=twice))
        return None


class _Referred:
    """The exams by what a row of annotation_file may refer to: a series, else a study, else a patient."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._by: dict[str, dict[str, set[str]]] = {column: defaultdict(set) for column in _REFERRING}
        for target in targets:
            named = (target.labels, target.studies, target.patients, target.patients)
            for column, names in zip(_REFERRING, named, strict=True):
                for name in names:
                    self._by[column][name.lower()].add(target.key)

    def by(self, row: Row) -> frozenset[str]:
        """Return the keys of the exams that a row refers to, the closest reference that leads anywhere."""
        for column in _REFERRING:
            keys = frozenset(key for word in words(row.get(column)) for key in self._by[column].get(word, ()))
            if keys:
                return keys
        return frozenset()


_REFERRING = ("mr_series_files.submitter_id", "imaging_studies.submitter_id", "cases.submitter_id", "case_ids")


def _meant(place: PlaceFacts) -> SeriesFacts | None:
    """Return the series that is meant: the one of the zip's name, else the largest."""
    return min(place.series, key=lambda one: (one.series_uid != place.at.series_uid, -one.instances), default=None)


def _box(facts: SeriesFacts | ImageFacts | None) -> Box | None:
    return None if facts is None or facts.grid is None else box_of(facts.grid)
