"""The task that segments: its digest, what it writes for a series and for an image, and what it refuses."""

from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from oracle import OracleSegmenter, write_neck

from node.assemble.headers import gather
from node.assemble.nifti import NiftiImage, read_nifti
from node.batch.offline import Options, segment_paths
from node.batch.runner.segmenting import SegmentTask, SegmentWork
from node.batch.runner.task import WorkerPlace, WorkItem
from node.domain.series import Series
from node.errors import BundleTampered
from node.segment.bundle import STARTER
from node.settings import parse_settings

SETTINGS = parse_settings({"node": {"state_dir": "."}}, name="test")


@dataclass(frozen=True, slots=True, kw_only=True)
class InFolder:
    """A series in a folder, or the image at `path`."""

    path: Path

    def load(self, scratch: Path) -> Series | NiftiImage:
        if self.path.is_file():
            return read_nifti(self.path)
        return gather(sorted(self.path.iterdir()))[0][0]


@pytest.fixture(scope="module")
def neck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series that the default route takes."""
    folder = tmp_path_factory.mktemp("neck")
    write_neck(folder)
    return folder


@pytest.fixture(scope="module")
def segmented(neck: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `cspine-node segment` makes of it."""
    options = Options(out=tmp_path_factory.mktemp("segmented"), nifti=True, all_series=False)
    [outcome] = segment_paths([neck], options, OracleSegmenter, SETTINGS, lambda _n, _c, _s: None).outcomes
    assert outcome.folder is not None
    return outcome.folder


def work(**changes: object) -> SegmentWork:
    """The task with an engine that needs no network."""
    task = SegmentTask.of(SETTINGS, STARTER, all_series=False)
    return SegmentWork(task=replace(task, **changes), engine=OracleSegmenter())  # type: ignore[arg-type]


def test_a_series_gives_the_files_of_segment_byte_for_byte(neck: Path, segmented: Path, tmp_path: Path) -> None:
    returned = work()(WorkItem(key="a", source=InFolder(path=neck)), tmp_path, tmp_path / "case")
    for name in ("seg.dcm", "sr.dcm", "measurements.tsv", "overlay.png", "labels.nii.gz"):
        assert (tmp_path / "case" / name).read_bytes() == (segmented / name).read_bytes()
    assert {path.name for path in (tmp_path / "case").iterdir()} == {
        *("seg.dcm", "sr.dcm", "measurements.tsv", "overlay.png", "findings.json"),
        *("labels.nii.gz", "classes.nii.gz"),
    }
    assert returned["rows"] == len((segmented / "measurements.tsv").read_text().splitlines()) - 1
    assert (returned["bodies"], returned["discs"]) == (7, 6)
    stages = {"load", "digest", "volume", "segment", "measure", "draw", "encode", "write"}
    assert set(returned["stages_s"]) == stages
    assert returned["pipeline_s"] <= sum(returned["stages_s"].values())


@pytest.mark.parametrize("orientation", ["RAS", "PSR", "LPI", "SLA"])
def test_an_image_gets_its_label_maps_on_its_own_voxels(segmented: Path, tmp_path: Path, orientation: str) -> None:
    image = nib.load(segmented / "image.nii.gz")
    wanted = nib.orientations.axcodes2ornt(orientation)
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted))
    nib.save(turned, tmp_path / "image.nii.gz")
    returned = work()(WorkItem(key="a", source=InFolder(path=tmp_path / "image.nii.gz")), tmp_path, tmp_path / "case")
    labels, classes = (nib.load(tmp_path / "case" / name) for name in ("labels.nii.gz", "classes.nii.gz"))
    for made in (labels, classes):
        assert made.shape == turned.shape
        np.testing.assert_allclose(made.affine, turned.affine, atol=1e-4)
    back = labels.as_reoriented(nib.orientations.ornt_transform(wanted, nib.io_orientation(image.affine)))
    np.testing.assert_array_equal(np.asarray(back.dataobj) > 0, labels_of(segmented) > 0)
    assert set(np.unique(np.asarray(classes.dataobj))) == {0, 1, 2}
    assert not list((tmp_path / "case").glob("*.dcm"))
    assert returned["verdict"] in {"good", "review", "reject"}


def labels_of(folder: Path) -> np.ndarray:
    """The label map of a folder of results."""
    return np.asarray(nib.load(folder / "labels.nii.gz").dataobj)


def test_a_series_that_no_route_takes_is_refused_with_its_reasons(neck: Path, tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    for file in neck.iterdir():
        data_set = pydicom.dcmread(file)
        data_set.EchoTime = 10
        data_set.save_as(series / file.name)
    item = WorkItem(key="a", source=InFolder(path=series))
    returned = work()(item, tmp_path, tmp_path / "case")
    assert [reason["code"] for reason in returned["refused"]] == ["echo-time"]
    assert not (tmp_path / "case").exists()
    assert work(all_series=True)(item, tmp_path, tmp_path / "case")["verdict"] in {"good", "review", "reject"}


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ({"folds": 1}, True),
        ({"mode": "reference"}, True),
        ({"device": "cpu"}, False),
        ({"threads": 3}, False),
        ({"timeout_s": 5}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_digest_follows_what_changes_results(section: dict[str, object], changes: bool) -> None:
    settings = parse_settings({"node": {"state_dir": "."}, "model": section}, name="test")
    task = SegmentTask.of(settings, STARTER, all_series=False)
    assert (task.digest != work().task.digest) is changes
    assert SegmentTask.of(SETTINGS, STARTER, all_series=True).digest != work().task.digest


def test_another_bundle_in_the_folder_is_not_used() -> None:
    task = replace(work().task, bundle_digest="b" * 64)
    with pytest.raises(BundleTampered, match="not the bundle that the batch began with"):
        task.ready(WorkerPlace(index=0, threads=1)).__enter__()
