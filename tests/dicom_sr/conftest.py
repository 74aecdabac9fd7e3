"""Real source series, each with a synthetic label map, and the results built from them."""

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from result_cases import Case, in_order, make_case, shared_files

from dicom_sr import FrameReference, SourceSeries


@pytest.fixture(scope="session")
def cervical_files(wrapped_cervical: Path) -> list[Path]:
    """A real cervical T2 volume, wrapped as a classic MR series."""
    return sorted(wrapped_cervical.glob("*.dcm"))


@pytest.fixture(scope="session")
def cervical(cervical_files: list[Path]) -> Case:
    return make_case(SourceSeries.from_files(cervical_files, in_order(cervical_files)), count=20)


@pytest.fixture(scope="session")
def epi() -> Case:
    """Siemens classic MR, 86 columns: not a multiple of 8, so that frames do not begin at a byte."""
    files = shared_files("dicom", "siemens_sagittal_epi", "classic")
    return make_case(SourceSeries.from_files(files, in_order(files)), count=5)


@pytest.fixture(scope="session")
def enhanced() -> Case:
    """Siemens Enhanced MR, 63 frames, the label map running against the order of the frames and over 40 of them."""
    files = shared_files("dicom", "siemens_sagittal_epi", "enhanced")[:1]
    uid = str(dcmread(files[0], stop_before_pixels=True).SOPInstanceUID)
    slices = [FrameReference(sop_instance_uid=uid, frame_number=number) for number in range(50, 10, -1)]
    return make_case(SourceSeries.from_files(files, slices), count=5)


@pytest.fixture(scope="session")
def single(cervical: Case) -> Case:
    """One structure only."""
    return make_case(cervical.source, count=1)


@pytest.fixture(scope="session", params=["cervical", "epi", "enhanced", "single"])
def case(request: pytest.FixtureRequest) -> Case:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Case)
    return found


@pytest.fixture(scope="session")
def segmentation(case: Case) -> Dataset:
    return case.segmentation()


@pytest.fixture(scope="session")
def sr(case: Case, segmentation: Dataset) -> Dataset:
    return case.sr(segmentation)
