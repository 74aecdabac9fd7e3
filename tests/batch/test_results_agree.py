"""A volume is one number, wherever it is read: label map, SEG, SR and table, each by somebody else's reader."""

from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from oracle import OracleSegmenter, write_neck

from node.batch.offline import Options, segment_paths
from node.settings import parse_settings

NAMES = [
    *("C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6"),
    *("C6", "C6/C7", "C7", "C7/T1", "T1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the top of a neck, with NIfTI beside."""
    source, out = tmp_path_factory.mktemp("neck"), tmp_path_factory.mktemp("out")
    write_neck(source)
    settings = parse_settings({"node": {"state_dir": "."}}, name="test")
    options = Options(out=out, nifti=True, all_series=False)
    [made] = segment_paths([source], options, OracleSegmenter, settings, lambda _n, _c, _s: None).outcomes
    assert made.folder is not None
    return made.folder


def in_label_map(folder: Path) -> list[float]:
    image = nib.load(folder / "labels.nii.gz")
    labels = np.asarray(image.dataobj)
    voxel_mm3 = abs(np.linalg.det(image.affine[:3, :3]))
    return [np.count_nonzero(labels == label) * voxel_mm3 for label in range(1, int(labels.max()) + 1)]


def in_segmentation(folder: Path) -> dict[str, float]:
    seg = hd.seg.segread(folder / "seg.dcm")
    volume = seg.get_volume(combine_segments=True)
    voxel_mm3 = abs(np.linalg.det(volume.affine[:3, :3]))
    return {
        seg.get_segment_description(number).segment_label.split()[0]: np.count_nonzero(volume.array == number)
        * voxel_mm3
        for number in seg.segment_numbers
    }


def in_report(folder: Path) -> dict[str, float]:
    report = hd.sr.srread(folder / "sr.dcm")
    found = {}
    for group in report.content.get_volumetric_roi_measurement_groups():
        [volume] = [item for item in group.get_measurements() if item.name.value == "118565006"]
        assert volume.unit.value == "mm3"
        found[group.tracking_identifier.split()[0]] = volume.value
    return found


def in_table(folder: Path) -> dict[str, float]:
    table = pd.read_csv(folder / "measurements.tsv", sep="\t")
    volumes = table[(table["quantity"] == "volume") & table["level"].notna()]
    return dict(zip(volumes["level"], volumes["value"], strict=True))


def test_the_four_agree_on_every_volume(folder: Path) -> None:
    counted = dict(zip(NAMES, in_label_map(folder), strict=True))
    assert counted["C2"] == pytest.approx((3 * 18 * 10 + 5 * 20 * 16) * 3.5)
    assert counted["C2/C3"] == pytest.approx(5 * 5 * 16 * 3.5)
    for read in (in_segmentation, in_report, in_table):
        assert read(folder) == pytest.approx(counted, rel=1e-9), read.__name__


def test_report_and_table_hold_the_very_same_number(folder: Path) -> None:
    assert in_report(folder) == in_table(folder)


def test_a_voxel_more_would_be_noticed(folder: Path) -> None:
    counted = dict(zip(NAMES, in_label_map(folder), strict=True))
    assert in_report(folder) != pytest.approx({**counted, "C5": counted["C5"] + 3.5}, rel=1e-6)
