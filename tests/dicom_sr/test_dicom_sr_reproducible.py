import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from result_cases import Case

from dicom_sr import SegmentationForm, to_bytes

_BUILD = """
import hashlib, sys
sys.path[:0] = {folders!r}
from pathlib import Path
from result_cases import in_order, make_case
from dicom_sr import SegmentationForm, SourceSeries, to_bytes
files = sorted(Path({folder!r}).glob("*.dcm"))
case = make_case(SourceSeries.from_files(files, in_order(files)), count=20)
seg = case.segmentation()
made = [seg, case.sr(seg), case.segmentation(SegmentationForm.LABELMAP), *case.key_images()]
for data in map(to_bytes, made):
    print(hashlib.sha256(data).hexdigest())
"""


def test_building_twice_gives_the_same_bytes(case: Case) -> None:
    first, second = case.segmentation(), case.segmentation()
    assert to_bytes(first) == to_bytes(second)
    assert to_bytes(case.sr(first)) == to_bytes(case.sr(second))
    for one, other in zip(case.key_images(), case.key_images(), strict=True):
        assert to_bytes(one) == to_bytes(other)


@pytest.mark.parametrize("form", SegmentationForm)
def test_looking_at_a_segmentation_does_not_change_its_bytes(single: Case, form: SegmentationForm) -> None:
    segmentation = single.segmentation(form)
    before = to_bytes(segmentation)
    assert len(segmentation.PerFrameFunctionalGroupsSequence) == segmentation.NumberOfFrames
    assert segmentation.SegmentSequence[0].SegmentLabel == "Disc 1"
    assert to_bytes(segmentation) == before


def test_another_process_with_another_hash_seed_and_time_zone_gives_the_same_bytes(
    cervical: Case, cervical_files: list[Path]
) -> None:
    tests = Path(__file__).parent
    folders = [str(tests), str(tests.parent), str(tests.parents[1])]
    script = _BUILD.format(folders=folders, folder=str(cervical_files[0].parent))
    environment = os.environ | {"PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    segmentation = cervical.segmentation()
    labelmap = cervical.segmentation(SegmentationForm.LABELMAP)
    built = (segmentation, cervical.sr(segmentation), labelmap, *cervical.key_images())
    assert done.stdout.split() == [hashlib.sha256(to_bytes(made)).hexdigest() for made in built]


def test_a_result_holds_no_date_but_those_of_the_source_and_the_caller(cervical: Case) -> None:
    segmentation = cervical.segmentation()
    for result in (segmentation, cervical.sr(segmentation), *cervical.key_images()):
        dates = {str(element.value)[:8] for element in result.iterall() if element.VR in ("DA", "DT") and element.value}
        assert dates == {"20200102"}
