"""What a radiologist sees: OHIF lays the segmentation of the node voxel for voxel on the series."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from peers import missing, program

from node.demo.source import files_to_send
from ohif.looking import looking
from ohif.staged import DICOMWEB, staged


@pytest.mark.slow
@pytest.mark.peer("orthanc", "chromium", "npm")
def test_ohif_shows_every_voxel_of_the_segmentation_where_the_node_put_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not DICOMWEB.exists():
        missing(f"Orthanc's DICOMweb plug-in ({DICOMWEB})")
    chromium = program("chromium")
    assert chromium is not None
    files = files_to_send(None, tmp_path / "series")
    with (
        staged(files, tmp_path, tmp_path_factory.getbasetemp() / "ohif") as stage,
        looking(stage.address, chromium) as viewer,
    ):
        viewer.open(stage.study_uid)
        viewer.load_segmentation(len(files))
        shown = viewer.labels()
        seg = highdicom.seg.segread(stage.seg)
    uids = [pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files]
    sent = seg.get_pixels_by_source_instance(uids, combine_segments=True, assert_missing_frames_are_empty=True)
    assert sorted(shown) == sorted(uids)
    assert len(np.unique(sent)) == seg.number_of_segments + 1
    wrong = [uid for uid, slice_ in zip(uids, sent, strict=True) if not np.array_equal(shown[uid], slice_)]
    assert wrong == []
    filled = [(uid, slice_) for uid, slice_ in zip(uids, sent, strict=True) if slice_.any()]
    assert len(filled) >= 5
    assert not any(np.array_equal(shown[uid], slice_[:, ::-1]) for uid, slice_ in filled)
