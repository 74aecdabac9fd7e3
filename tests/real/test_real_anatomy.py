"""The starter on real necks without masks: held against points that were placed by eye, and against itself."""

import numpy as np
import pytest
from PIL import Image
from real.necks import NECKS, Answer, Witness, answered, series_in, source_of, thinned, wrapped

from node.domain.findings import Findings, Verdict
from node.domain.geometry import Grid, Volume
from node.domain.identifiers import Digest
from node.measure.measure import measure
from node.pipeline import run_case
from node.train.landmarks import BODY, DISC, as_found, levels_found
from node.train.realvolumes import Scan, agreement, measured_scan, part, read_volume, scanned

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

BODIES = ("C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2", "T3")
DISCS = ("C2/C3", "C3/C4", "C4/C5", "C5/C6", "C6/C7", "C7/T1", "T1/T2", "T2/T3")
LEVELS = (*BODIES, *DISCS)

#: From the points in the middle and at the back of a disc to the disc of that name.
MOST_DISTANCE_MM = 2.0
#: Of the voxels that are kept.
MOST_OUTSIDE = 0.01
#: Dice between the two configurations.
LEAST_BETWEEN_MEMBERS = {"vertebral_body": 0.80, "intervertebral_disc": 0.75}
#: Dice between two scans of one neck.
LEAST_BETWEEN_SCANS = {"vertebral_body": 0.80, "intervertebral_disc": 0.70}
#: Heights in the middle, and volumes, of what lies whole in these three necks between C3 and T3.
BODY_MM, DISC_MM = (9.0, 22.0), (2.0, 9.0)
BODY_MM3, DISC_MM3 = (1_500.0, 16_000.0), (250.0, 6_000.0)
#: A body with half of both discs, over the distance between the points in those discs.
FILLED = (0.85, 1.15)

#: What changes at once in a harder scan of the same neck.
HARDER = {
    "thin slices, fine pixels, moved": Scan(slice_mm=3.0, pixel_mm=0.7, shift_mm=(5.3, -6.6)),
    "thick slices, turned, noise": Scan(slice_mm=5.0, pixel_mm=0.9, turn_deg=(3.0, 2.0, 2.0), noise=0.03),
}
#: Columns of errsm_20 and errsm_22 that a tight field of view would have.
TIGHT = {"errsm_20": slice(110, 300), "errsm_22": slice(150, 330)}
#: Rows of errsm_22 from which the field of view begins: at the foot of the dens, in C2, in C3, at C3/C4, in the chest.
CUT_AT = (14, 25, 39, 48, 115)


@pytest.fixture(scope="session")
def engine() -> Witness:
    return Witness()


@pytest.fixture(scope="session")
def answers(engine, shared_data, tmp_path_factory) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("necks")
    return {
        neck: answered(engine, series_in(wrapped(source_of(shared_data, neck), folder / neck)), neck) for neck in NECKS
    }


@pytest.fixture(params=NECKS)
def answer(request, answers) -> Answer:
    return answers[request.param]


def test_each_body_and_disc_is_found_once_on_the_middle_slice(answer) -> None:
    assert [level for level in LEVELS if not answer.figures["levels"][level]["once"]] == []


def test_each_body_and_disc_is_found_once_on_the_slices_across_its_width(answer) -> None:
    levels = answer.figures["levels"]
    assert [level for level in LEVELS if levels[level]["once_across"] < levels[level]["slices"]] == []


def test_each_structure_bears_the_name_of_its_level(answer) -> None:
    assert {level: answer.figures["levels"][level]["named"] for level in LEVELS} == {level: level for level in LEVELS}


def test_bodies_and_discs_take_turns_from_c2_down(answer) -> None:
    kinds = [structure.kind for structure in answer.findings.structures]
    assert kinds[:17] == [BODY, DISC] * 8 + [BODY]


def test_nothing_is_found_that_is_no_level_of_the_neck(answer) -> None:
    assert answer.figures["strays"] == 0


def test_the_disc_of_the_right_name_reaches_the_points_in_its_middle_and_at_its_back(answer) -> None:
    for place in ("distance_mm", "back_mm"):
        distances = {level: answer.figures["levels"][level][place] for level in DISCS}
        assert {level: mm for level, mm in distances.items() if mm is None or mm > MOST_DISTANCE_MM} == {}


def test_hardly_anything_lies_outside_of_the_spine(answer) -> None:
    assert answer.figures["outside_share"] < MOST_OUTSIDE


def test_the_two_configurations_agree(answer) -> None:
    members = answer.figures["members"]
    assert {kind for kind, least in LEAST_BETWEEN_MEMBERS.items() if (members[kind] or 0.0) < least} == set()


def test_the_points_that_came_with_a_neck_lie_behind_c3_and_t4(answers) -> None:
    # the centres of the values 3 and 11 in errsm_30_landmarks_C3_11.nii.gz, which lie in the cord
    assert _body_beside(answers["errsm_30"].findings, (6.22, -1.79, 23.68)) == "C3"
    assert _body_beside(answers["errsm_30"].findings, (1.22, 45.21, -112.32)) == "T4"


def _body_beside(findings: Findings, point: tuple[float, float, float]) -> str | None:
    bodies = [structure for structure in findings.structures if structure.kind is BODY]
    nearest = min(bodies, key=lambda body: float(np.linalg.norm(np.subtract(body.centroid_lps_mm, point))))
    return nearest.level.name if nearest.level else None


def _sizes(answer: Answer, names: tuple[str, ...], quantity: str) -> dict[str, float]:
    """Return a size of each level; not a number where there is none."""
    sizes = {name: answer.figures["levels"][name].get(quantity) for name in names}
    return {name: np.nan if size is None else size for name, size in sizes.items()}


def test_heights_are_those_of_vertebrae_and_discs(answer) -> None:
    for names, (least, most) in ((BODIES[1:], BODY_MM), (DISCS, DISC_MM)):
        heights = _sizes(answer, names, "height_mm")
        assert {name: mm for name, mm in heights.items() if not least <= mm <= most} == {}


def test_volumes_are_those_of_vertebrae_and_discs(answer) -> None:
    for names, (least, most) in ((BODIES[1:], BODY_MM3), (DISCS, DISC_MM3)):
        volumes = _sizes(answer, names, "volume_mm3")
        assert {name: mm3 for name, mm3 in volumes.items() if not least <= mm3 <= most} == {}


def test_bodies_grow_toward_the_chest(answer) -> None:
    for quantity in ("height_mm", "volume_mm3"):
        sizes = _sizes(answer, BODIES, quantity)
        assert sum(sizes[name] for name in ("T1", "T2", "T3")) > sum(sizes[name] for name in ("C3", "C4", "C5"))


def test_bodies_and_discs_fill_the_column(answer) -> None:
    heights = _sizes(answer, LEVELS, "height_mm")
    points = answer.landmarks.points
    filled = {}
    for body, above, below in zip(BODIES[1:-1], DISCS[:-1], DISCS[1:], strict=True):
        stretch = float(np.linalg.norm(points[above] - points[below]))
        filled[body] = (heights[body] + (heights[above] + heights[below]) / 2) / stretch
    assert {name: share for name, share in filled.items() if not FILLED[0] <= share <= FILLED[1]} == {}


@pytest.mark.parametrize("scan", HARDER.values(), ids=HARDER.keys())
def test_a_harder_scan_of_the_same_neck_is_answered_alike(engine, answers, shared_data, scan) -> None:
    plain = answers["errsm_20"]
    voxels, grid = part(*read_volume(source_of(shared_data, "errsm_20")), columns=TIGHT["errsm_20"])
    volume = scanned(voxels, grid, scan, seed=1)
    figures, found = measured_scan(engine, volume, plain.landmarks)
    assert [level for level in LEVELS if not figures["levels"][level]["once"]] == []
    assert [name for name in LEVELS if figures["levels"][name]["named"] not in {None, name}] == []
    assert figures["outside_share"] < MOST_OUTSIDE
    alike = agreement((found, volume.grid), (plain.segmentation, plain.volume.grid))
    assert {kind for kind, least in LEAST_BETWEEN_SCANS.items() if (alike[kind] or 0.0) < least} == set()


@pytest.mark.parametrize("row", CUT_AT)
def test_a_neck_without_all_of_c2_gets_no_wrong_name_with_a_good_verdict(engine, answers, shared_data, row) -> None:
    voxels, grid = part(
        *read_volume(source_of(shared_data, "errsm_22")), rows=slice(row, None), columns=TIGHT["errsm_22"]
    )
    assert not _misleads(engine, scanned(voxels, grid, Scan()), answers["errsm_22"])


def test_a_neck_with_dark_fluid_gets_no_wrong_name_with_a_good_verdict(engine, answers, shared_data) -> None:
    voxels, grid = part(*read_volume(source_of(shared_data, "errsm_22")), columns=TIGHT["errsm_22"])
    bright = float(np.percentile(voxels, 97))
    air = voxels < 0.05 * bright
    dark = np.where(air, voxels, np.clip(bright - voxels, 0.05 * bright, None)).astype(np.float32)
    assert not _misleads(engine, scanned(dark, grid, Scan()), answers["errsm_22"])


def _misleads(engine: Witness, volume: Volume, plain: Answer) -> bool:
    """Return whether a structure has another level's name although the verdict is good."""
    findings = measure(engine.segment(volume), volume)
    levels = levels_found(as_found(findings, volume.grid), plain.landmarks)
    wrong = any(level.named not in {None, level.level} for level in levels)
    return wrong and findings.quality.verdict is Verdict.GOOD


def test_a_head_is_not_called_good(engine, head_t1) -> None:
    series = thinned(series_in(head_t1), 4, 15)
    findings = run_case(series, Digest("0" * 64), engine).findings
    assert findings.quality.verdict is not Verdict.GOOD


@pytest.mark.parametrize("upside_down", [False, True], ids=["upright", "upside down"])
def test_a_lumbar_spine_is_not_called_a_good_neck(engine, shared_data, upside_down) -> None:
    picture = next((shared_data / "lumbar_labelled").rglob("images/11.png"))
    plane = np.asarray(Image.open(picture).convert("L"), dtype=np.int16)
    if upside_down:
        plane = plane[::-1]
    voxels = np.repeat(plane[np.newaxis], 9, axis=0)
    affine = np.array([[-4.0, 0, 0, 20], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    volume = Volume(grid=Grid(shape=voxels.shape, affine=affine), voxels=voxels, sources=(), acquired_in_3d=False)
    findings = measure(engine.segment(volume), volume)
    assert findings.quality.verdict is not Verdict.GOOD
