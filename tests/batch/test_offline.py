"""The pipeline over files, with a segmenter that needs no network."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from oracle import OracleSegmenter, failure, write_blocks, write_neck

from node.batch.offline import Options, Report, segment_paths
from node.domain.case import Order, ReportForm, Wanted
from node.errors import EngineError, InputError, UnsafeArchive
from node.settings import parse_settings


def run(
    paths: list[Path],
    out: Path,
    segmenter: OracleSegmenter | None = None,
    *,
    all_series: bool = False,
    order: Order | None = None,
    **sections: Any,
) -> tuple[Report, list[str]]:
    """Segment `paths` and return the report and the stages that were told. `sections`: of the settings."""
    stages: list[str] = []
    report = segment_paths(
        paths,
        Options(out=out, nifti=False, all_series=all_series, order=order),
        lambda: segmenter or OracleSegmenter(),
        parse_settings({"node": {"state_dir": "."}, **sections}, name="test"),
        lambda number, count, stage: stages.append(f"{number}/{count} {stage}"),
    )
    return report, stages


def test_folders_zips_and_files_are_one_input(tmp_path: Path) -> None:
    files = write_blocks(tmp_path / "series")
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        for file in files[:3]:
            archive.write(file, file.name)
    loose = tmp_path / "loose"
    loose.mkdir()
    for file in files[3:7]:
        shutil.copy(file, loose)
    report, stages = run([tmp_path / "half.zip", loose, files[7]], tmp_path / "out")
    [outcome] = report.outcomes
    assert outcome.folder == tmp_path / "out" / pydicom.dcmread(files[0]).SeriesInstanceUID
    assert stages == [f"1/1 {stage}" for stage in ("model", "volume", "segment", "measure", "draw", "encode", "write")]


def test_one_series_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    write_blocks(tmp_path / "series" / "one", name="one")
    write_blocks(tmp_path / "series" / "two", name="two")
    report, _ = run([tmp_path / "series"], tmp_path / "out", OracleSegmenter([failure(EngineError)]))
    assert sorted("failed" if outcome.error else "segmented" for outcome in report.outcomes) == ["failed", "segmented"]
    assert len(list((tmp_path / "out").glob("*/seg.dcm"))) == 1
    assert (tmp_path / "out" / "structures.tsv").read_text().splitlines()[0].split("\t") == [
        "series_instance_uid",
        "label",
        "kind",
        "level",
        "volume_mm3",
        "left_mm",
        "posterior_mm",
        "superior_mm",
        "level_confidence",
        "truncated",
        "verdict",
    ]


def test_all_series_takes_what_the_route_refuses(tmp_path: Path) -> None:
    files = write_blocks(tmp_path / "series")
    for file in files:
        data_set = pydicom.dcmread(file)
        data_set.EchoTime, data_set.BodyPartExamined, data_set.StudyDescription = 10, "HEAD", "MR HEAD"
        data_set.save_as(file)
    refused, _ = run([tmp_path / "series"], tmp_path / "out")
    assert [reason.code for reason in refused.outcomes[0].reasons] == ["region", "other-region", "echo-time"]
    taken, _ = run([tmp_path / "series"], tmp_path / "out", all_series=True)
    assert taken.outcomes[0].folder is not None


PEER = {"name": "modern", "host": "pacs", "port": 104, "ae_title": "PACS", "segmentation": "labelmap"}
ROUTE = {"name": "neck", "destinations": ["modern"], "segments": "classes"}
PICTURES = Order(wanted=frozenset({Wanted(report=ReportForm.ENHANCED, key_images=True)}))


@pytest.mark.parametrize(
    ("order", "sections", "names"),
    [
        (None, {}, {"seg.dcm", "sr.dcm"}),
        (
            None,
            {"destination": [PEER], "route": [ROUTE]},
            {"seg.dcm", "sr.dcm", "seg-labelmap.dcm", "sr-labelmap.dcm"},
        ),
        (
            PICTURES,
            {"destination": [PEER], "route": [ROUTE]},
            {"seg.dcm", "sr.dcm", "sr-enhanced.dcm", *(f"key-{number}.dcm" for number in range(1, 5))},
        ),
    ],
    ids=["defaults", "what the route's destinations take", "what is asked for instead"],
)
def test_the_forms_are_those_of_the_route_unless_others_are_asked_for(
    tmp_path: Path, order: Order | None, sections: dict[str, Any], names: set[str]
) -> None:
    write_neck(tmp_path / "series")
    for all_series in (False, True):
        report, _ = run([tmp_path / "series"], tmp_path / "out", all_series=all_series, order=order, **sections)
        folder = report.outcomes[0].folder
        assert folder is not None
        assert {path.name for path in folder.glob("*.dcm")} == names


def test_a_truncated_slice_fails_its_own_series_only(tmp_path: Path) -> None:
    broken = write_blocks(tmp_path / "series" / "one", name="one")
    write_blocks(tmp_path / "series" / "two", name="two")
    broken[-1].write_bytes(broken[-1].read_bytes()[:-100])
    report, _ = run([tmp_path / "series"], tmp_path / "out")
    states = {outcome.series_uid: outcome.error.code if outcome.error else None for outcome in report.outcomes}
    uid = pydicom.dcmread(broken[0]).SeriesInstanceUID
    assert states.pop(uid) == "truncated-file"
    assert list(states.values()) == [None]
    assert [item.error.code for item in report.unreadable] == ["truncated-file"]


def test_what_is_not_there_or_no_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        run([tmp_path / "nowhere"], tmp_path / "out")
    (tmp_path / "bad.zip").write_bytes(b"PK no zip")
    with pytest.raises(UnsafeArchive):
        run([tmp_path / "bad.zip"], tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS:UserWarning")  # pydicom says so; the node prints none
def test_files_without_preamble_and_with_odd_headers_are_segmented_or_named(tmp_path: Path) -> None:
    """The preamble is missing in one series, SliceThickness is no number in the other."""
    bare = write_blocks(tmp_path / "series" / "bare", name="bare")
    for file in bare:
        content = file.read_bytes()
        file.write_bytes(content[132 + 12 + int.from_bytes(content[140:144], "little") :])
    for file in write_blocks(tmp_path / "series" / "odd", name="odd"):
        file.write_bytes(file.read_bytes().replace(b"DS\x04\x003.5 ", b"DS\x04\x005 mm"))
    report, _ = run([tmp_path / "series"], tmp_path / "out")
    codes = sorted(outcome.error.code if outcome.error else "segmented" for outcome in report.outcomes)
    assert codes == ["segmented", "segmented"]
