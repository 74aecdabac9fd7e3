"""What speaks against a result, each doubt beside a case that gives no cause for it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from oracle import ALGORITHM, RUN

from node.domain.anatomy import StructureKind, body, disc_below
from node.domain.findings import (
    Doubt,
    Missing,
    Presence,
    Quantity,
    Segmentation,
    Structure,
    Verdict,
)
from node.domain.geometry import Grid, Volume
from node.measure.doubts.agreement import agreement_by_kind, mean_entropy
from node.measure.doubts.picture import ghost, signal_to_noise
from node.measure.doubts.plausibility import distances_mm
from node.measure.quality import judge
from node.measure.result import Result

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
NAMES = ("C2", "C3", "C4", "C5", "C6", "C7", "T1")
DISCS = tuple(disc_below(name).name for name in NAMES[:-1])
#: Slices to the left, rows to the feet, columns to the back; 4 x 1 x 1 mm.
GRID = Grid(shape=(9, 160, 160), affine=np.array([[4.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]]))
BODY_ROWS, DISC_ROWS, STEP = 12, 6, 18


class Case:
    """A straight neck, C2 to T1 with the discs between; a test changes what it is about."""

    def __init__(self) -> None:
        self.labels = np.zeros(GRID.shape, np.uint16)
        self.structures: list[Structure] = []
        for level, name in enumerate(NAMES):
            top = 16 + STEP * level
            self._add(BODY, level, body(name), slice(top, top + BODY_ROWS))
            if name != "T1":
                self._add(DISC, level, disc_below(name), slice(top + BODY_ROWS, top + STEP))
        self.missing: tuple[Missing, ...] = ()
        self.specks_mm3 = 0.0
        classes = np.zeros(GRID.shape, np.uint8)
        for structure in self.structures:
            classes[self.labels == structure.label] = 1 if structure.kind is BODY else 2
        self.classes = classes
        self.probabilities = {BODY: 250 * (classes == 1).astype(np.uint8), DISC: 250 * (classes == 2).astype(np.uint8)}
        self.opinions = {"2d": classes.copy(), "3d_fullres": classes.copy()}
        noise = np.random.default_rng(4).standard_normal((2, *GRID.shape))
        tissue = np.zeros(GRID.shape)
        tissue[:, :, 40:100] = 200.0
        tissue[classes == 2] = 300.0
        self.voxels = np.hypot(tissue + 6 * noise[0], 6 * noise[1])

    def _add(self, kind, level, named, rows) -> None:
        label = len(self.structures) + 1
        self.labels[2:7, rows, 62:78] = label
        height = BODY_ROWS if kind is BODY else DISC_ROWS
        self.structures.append(
            Structure(
                label=label,
                kind=kind,
                ordinal=level + 1,
                level=named,
                level_confidence=0.9,
                truncated=False,
                volume_mm3=5 * 4.0 * 16 * height,
                centroid_lps_mm=(16.0, 69.5, -float(rows.start + rows.stop - 1) / 2),
                measures={} if named.name == "C2" else {Quantity.HEIGHT_MIDDLE: float(height)},
            )
        )

    def change(self, name: str, **changes) -> None:
        at = next(i for i, one in enumerate(self.structures) if one.level is not None and one.level.name == name)
        self.structures[at] = replace(self.structures[at], **changes)

    def where(self, name: str) -> np.ndarray:
        named = next(one for one in self.structures if one.level is not None and one.level.name == name)
        return self.labels == named.label

    def drop(self, *names: str) -> None:
        for name in names:
            self.labels[self.where(name)] = 0
        self.structures = [one for one in self.structures if one.level is not None and one.level.name not in names]

    def result(self) -> Result:
        return Result(
            labels=self.labels,
            structures=tuple(self.structures),
            missing=self.missing,
            pairs=(),
            specks_mm3=self.specks_mm3,
        )

    def segmentation(self) -> Segmentation:
        return Segmentation(
            classes=self.classes,
            meanings={1: BODY, 2: DISC},
            probabilities=self.probabilities,
            opinions=self.opinions,
            algorithm=ALGORITHM,
            run=RUN,
        )

    def volume(self) -> Volume:
        return Volume(grid=GRID, voxels=self.voxels, sources=(), acquired_in_3d=False)

    def judged(self):
        return judge(self.segmentation(), self.volume(), self.result())


def test_a_plain_neck_is_good() -> None:
    found = Case().judged()
    assert (found.verdict, found.objections) == (Verdict.GOOD, ())
    assert found.member_agreement == {BODY: 1.0, DISC: 1.0}
    assert set(found.evidence) == set(range(1, 14))
    assert found.evidence[1].member_agreement == 1.0
    assert found.evidence[1].fold_agreement is None


def member_gives(case: Case, name: str, rows: int) -> None:
    """Let one configuration find only the first `rows` rows of a structure."""
    where = np.nonzero(case.where(name))
    late = where[1] >= where[1].min() + rows
    case.opinions["3d_fullres"][tuple(axis[late] for axis in where)] = 0


def fold_gives(case: Case, name: str, rows: int) -> None:
    kept = case.opinions["3d_fullres"].copy()
    member_gives(case, name, rows)
    case.opinions |= {"2d fold 0": case.opinions["3d_fullres"], "2d fold 1": case.classes, "3d_fullres": kept}


def unsure(case: Case, name: str, share: int) -> None:
    where = case.where(name)
    case.probabilities[BODY][where], case.probabilities[DISC][where] = share, 0


def missing(case: Case, *levels, presence: Presence) -> None:
    case.missing = tuple(Missing(level=level, presence=presence) for level in levels)


def moved(case: Case, name: str, back_mm: float) -> None:
    old = next(one for one in case.structures if one.level is not None and one.level.name == name)
    x, y, z = old.centroid_lps_mm
    case.change(name, centroid_lps_mm=(x, y + back_mm, z))


def ghosted(case: Case, amplitude_mm: float, axis: int) -> None:
    """Shift the patient to and fro while the lines are read, as breathing does: ghosts along the axis."""
    count = GRID.shape[axis]
    shift = amplitude_mm * np.sin(2 * np.pi * np.arange(count) / 8)
    shape = [-1 if one == axis else 1 for one in range(3)]
    phase = np.exp(-2j * np.pi * np.fft.fftfreq(count) * np.fft.ifftshift(shift)).reshape(shape)
    case.voxels = np.abs(np.fft.ifft(np.fft.fft(case.voxels, axis=axis) * phase, axis=axis))


def noisy(case: Case, sigma: float) -> None:
    """Rician noise: the magnitude of a signal with normal noise in both of its parts."""
    noise = np.random.default_rng(9).standard_normal((2, *GRID.shape))
    case.voxels = np.hypot(case.voxels + sigma * noise[0], sigma * noise[1])


Change = Callable[[Case], object]
HEIGHT = Quantity.HEIGHT_MIDDLE

TABLE: list[tuple[str, Doubt, Verdict, str, Change, Change]] = [
    ("member", Doubt.MEMBER_DISAGREEMENT, Verdict.REVIEW, "C5: 2d and 3d_fullres overlap by 0.67 (Dice)",
     lambda c: member_gives(c, "C5", 6), lambda c: member_gives(c, "C5", 11)),
    ("member on a disc", Doubt.MEMBER_DISAGREEMENT, Verdict.REVIEW, "C5/C6: 2d and 3d_fullres overlap by 0.67 (Dice)",
     lambda c: member_gives(c, "C5/C6", 3), lambda c: member_gives(c, "C5/C6", 4)),
    ("a whole kind", Doubt.MEMBER_DISAGREEMENT, Verdict.REVIEW,
     "disc: 2d and 3d_fullres overlap by no more than 0.50 over the whole volume (Dice)",
     lambda c: [member_gives(c, name, 2) for name in DISCS],
     lambda c: [member_gives(c, name, 4) for name in DISCS]),
    ("a whole kind of which hardly anything is common", Doubt.MEMBER_DISAGREEMENT, Verdict.REJECT,
     "disc: 2d and 3d_fullres overlap by no more than 0.29 over the whole volume (Dice)",
     lambda c: [member_gives(c, name, 1) for name in DISCS],
     lambda c: [member_gives(c, name, 4) for name in DISCS]),
    ("fold", Doubt.FOLD_DISAGREEMENT, Verdict.REVIEW, "C5: two folds of one configuration overlap by 0.67 (Dice)",
     lambda c: fold_gives(c, "C5", 6), lambda c: fold_gives(c, "C5", 11)),
    ("entropy", Doubt.HIGH_ENTROPY, Verdict.REVIEW, "C6: the ensemble is unsure, mean entropy 0.63 of 1",
     lambda c: unsure(c, "C6", 128), lambda c: unsure(c, "C6", 220)),
    ("too small", Doubt.IMPLAUSIBLE_VOLUME, Verdict.REVIEW, "C3/C4: volume 100 mm3, plausible are 150 to 4,000 mm3",
     lambda c: c.change("C3/C4", volume_mm3=100.0), lambda c: c.change("C3/C4", volume_mm3=200.0)),
    ("too large", Doubt.IMPLAUSIBLE_VOLUME, Verdict.REVIEW, "C2: volume 9,500 mm3, plausible are 1,200 to 9,000 mm3",
     lambda c: c.change("C2", volume_mm3=9500.0), lambda c: c.change("C2", volume_mm3=8500.0)),
    ("a block is as large as two", Doubt.IMPLAUSIBLE_VOLUME, Verdict.REVIEW,
     "C5: volume 9,500 mm3, plausible are 1,200 to 9,000 mm3",
     lambda c: c.change("C5", volume_mm3=9500.0), lambda c: c.change("C5", volume_mm3=9500.0, level=body("C5", "C6"))),
    ("the chest has larger ones", Doubt.IMPLAUSIBLE_VOLUME, Verdict.REVIEW,
     "C7 and T1: one has 2.3 times the volume of the other",
     lambda c: c.change("T1", volume_mm3=8832.0), lambda c: c.change("T1", volume_mm3=7000.0)),
    ("too high", Doubt.IMPLAUSIBLE_HEIGHT, Verdict.REVIEW, "C4/C5: height 13.0 mm, plausible are 0.5 to 12 mm",
     lambda c: c.change("C4/C5", measures={HEIGHT: 13.0}), lambda c: c.change("C4/C5", measures={HEIGHT: 10.0})),
    ("a jump in height", Doubt.IMPLAUSIBLE_HEIGHT, Verdict.REVIEW,
     "C6 and C7: one has 1.7 times the height of the other",
     lambda c: c.change("C7", measures={HEIGHT: 20.0}) or c.change("T1", measures={HEIGHT: 20.0}),
     lambda c: c.change("C7", measures={HEIGHT: 15.0}) or c.change("T1", measures={HEIGHT: 20.0})),
    ("order", Doubt.IMPLAUSIBLE_ORDER, Verdict.REVIEW, "C4 and C5 follow each other without a disc between them",
     lambda c: c.drop("C4/C5"), lambda c: None),
    ("absent", Doubt.IMPLAUSIBLE_ORDER, Verdict.REVIEW,
     "not found, though what lies above and below was: C4/C5",
     lambda c: c.drop("C4/C5") or missing(c, disc_below("C4"), presence=Presence.ABSENT), lambda c: None),
    ("off the line", Doubt.IMPLAUSIBLE_ORDER, Verdict.REVIEW, "C4: its centre lies 20 mm off the line of the others",
     lambda c: moved(c, "C4", 20.0), lambda c: moved(c, "C4", 6.0)),
    ("level", Doubt.LEVEL_UNCERTAIN, Verdict.REVIEW, "no sure level for vertebral body 7 (confidence 0.40 at most)",
     lambda c: c.change("T1", level=None, level_confidence=0.4), lambda c: c.change("T1", level_confidence=0.6)),
    ("view", Doubt.TRUNCATED, Verdict.REVIEW, "not in the field of view: T1, C7/T1",
     lambda c: c.drop("T1", "C7/T1") or missing(c, body("T1"), disc_below("C7"), presence=Presence.NOT_IN_VIEW),
     lambda c: None),
    ("cut", Doubt.TRUNCATED, Verdict.REVIEW, "cut by the edge of the field of view: C2",
     lambda c: c.change("C2", truncated=True), lambda c: c.change("T1", truncated=True)),
    ("specks", Doubt.SPECKS, Verdict.REVIEW, "3,000 mm3 in loose pieces were dropped, 8 % of what was kept",
     lambda c: setattr(c, "specks_mm3", 3000.0), lambda c: setattr(c, "specks_mm3", 500.0)),
    ("one kind only", Doubt.NOTHING_FOUND, Verdict.REJECT, "no disc was found",
     lambda c: c.drop(*DISCS), lambda c: c.drop("C2/C3")),
    ("motion, front to back", Doubt.MOTION, Verdict.REVIEW, "ghosts in the air behind the neck have",
     lambda c: ghosted(c, 4.0, 2), lambda c: ghosted(c, 0.5, 2)),
    ("noise", Doubt.LOW_SIGNAL, Verdict.REVIEW, "the vertebrae and discs are only",
     lambda c: noisy(c, 60.0), lambda c: noisy(c, 10.0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("doubt", "verdict", "text", "cause", "control"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_each_doubt_is_raised_by_its_cause_and_not_by_less(
    doubt: Doubt, verdict: Verdict, text: str, cause: Change, control: Change
) -> None:
    doubtful, plain = Case(), Case()
    cause(doubtful)
    control(plain)
    found = doubtful.judged()
    raised = [objection for objection in found.objections if objection.doubt is doubt]
    assert any(objection.text.startswith(text) and objection.verdict is verdict for objection in raised), raised
    assert found.verdict is not Verdict.GOOD
    assert text not in [objection.text for objection in plain.judged().objections]
    assert not any(one.doubt is doubt and one.verdict is verdict for one in plain.judged().objections) or doubt in (
        Doubt.IMPLAUSIBLE_VOLUME,
        Doubt.NOTHING_FOUND,
    )


def test_where_nothing_was_found_the_result_is_rejected() -> None:
    case = Case()
    case.structures, case.labels, case.classes = [], np.zeros_like(case.labels), np.zeros_like(case.classes)
    found = case.judged()
    assert found.verdict is Verdict.REJECT
    assert found.objections[0].text == "no vertebral body and no disc was found"


def test_an_objection_names_the_structures_that_it_is_about() -> None:
    case = Case()
    member_gives(case, "C2/C3", 2)
    [objection] = case.judged().objections
    assert objection.labels == (2,)


def test_the_dice_of_a_structure_counts_what_lies_around_it_and_not_its_neighbours() -> None:
    case = Case()
    case.opinions["2d"][4, 16:28, 78:80] = 1  # 24 voxels behind C2, of 5 * 12 * 16 = 960
    case.opinions["2d"][4, 16:28, 120] = 1  # too far behind to be of it
    case.opinions["2d"][case.where("C2/C3")] = 1  # of the disc below, which is another structure
    evidence = case.judged().evidence
    assert evidence[1].member_agreement == pytest.approx(2 * 960 / (960 + 984))
    assert evidence[2].member_agreement == 0.0
    assert evidence[3].member_agreement == 1.0


def test_agreement_of_a_kind_is_the_lowest_dice_between_two_configurations_and_no_folds() -> None:
    case = Case()
    rows = {"a": [1, 1, 2, 0], "b": [1, 1, 2, 2], "c": [1, 0, 2, 2], "a fold 0": [0, 0, 0, 0], "a fold 1": [1, 0, 0, 0]}
    case.opinions = {name: np.array(row, np.uint8).reshape(1, 1, 4) for name, row in rows.items()}
    assert agreement_by_kind(case.segmentation()) == {BODY: pytest.approx(2 / 3), DISC: pytest.approx(2 / 3)}
    case.opinions = {"a": case.opinions["a"]}
    assert agreement_by_kind(case.segmentation()) == {BODY: None, DISC: None}
    case.opinions = {"a": np.array([[[1, 0]]], np.uint8), "b": np.array([[[0, 0]]], np.uint8)}
    assert agreement_by_kind(case.segmentation()) == {BODY: 0.0, DISC: None}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [((255, 0), 0.0), ((0, 0), 0.0), ((85, 85), 1.0), ((204, 0), 0.4555), ((127, 128), 0.6309), ((128, 128), 0.6298)],
)
def test_the_entropy_is_that_of_three_classes_over_its_largest(shares: tuple[int, int], expected: float) -> None:
    found = mean_entropy([np.array([share, share], np.uint8) for share in shares])
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_single_point_far_off_draws_no_line_to_itself() -> None:
    points = np.array([[0.0, 0.002 * z**2, -z] for z in range(0, 130, 10)])
    points[3, 1] += 30.0
    distances = distances_mm(points)
    assert distances[3] == pytest.approx(30.0, abs=3.0)
    assert max(distances[:3] + distances[4:]) < 3.0


@pytest.mark.parametrize("sigma", [10.0, 20.0, 40.0])
def test_the_noise_that_was_added_is_measured(sigma: float) -> None:
    case = Case()
    noisy(case, sigma)
    expected = 200.0 / np.hypot(6.0, sigma)
    assert signal_to_noise(case.volume(), case.result()) == pytest.approx(expected, rel=0.2)


def test_noise_alone_is_no_ghost_and_air_masked_to_zero_says_nothing() -> None:
    case = Case()
    noisy(case, 30.0)
    found = ghost(case.volume(), case.result())
    assert found is not None
    assert found < 0.1
    case.voxels[:, :, 100:] = 0
    assert ghost(case.volume(), case.result()) is None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_way_the_axes_lie_changes_neither_measure(order: tuple[int, int, int]) -> None:
    case = Case()
    affine = GRID.affine.copy()
    affine[:, :3] = GRID.affine[:, list(order)]
    shape = tuple(GRID.shape[axis] for axis in order)
    turned = Volume(
        grid=Grid(shape=shape, affine=affine), voxels=case.voxels.transpose(order), sources=(), acquired_in_3d=False
    )
    result = replace(case.result(), labels=case.labels.transpose(order))
    for measure in (ghost, signal_to_noise):
        assert measure(turned, result) == pytest.approx(measure(case.volume(), case.result()), rel=1e-4)


def test_many_objections_of_one_kind_are_told_together():
    case = Case()
    case.opinions["3d_fullres"] = np.roll(case.classes, 4, axis=1)
    alike = [objection for objection in case.judged().objections if objection.doubt is Doubt.MEMBER_DISAGREEMENT]
    assert len({objection.verdict for objection in alike}) == len(alike)
    told = next(objection for objection in alike if objection.labels)
    assert told.labels == (2, 4, 6, 8, 10, 12, 13)
    assert told.text.count(";") == 3
    assert told.text.endswith("; and 5 more")
