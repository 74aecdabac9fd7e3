"""Real source series, each with a synthetic label map, and the results built from them."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_sr import FrameReference, SourceSeries

sys.path.insert(0, str(Path(__file__).parent))  # whatever import mode pytest runs in

from result_cases import SHARED, Case, in_order, make_case, shared_files


@pytest.fixture(scope="session")
def cervical_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A real cervical T2 volume, wrapped as a classic MR series."""
    volume = SHARED / "data" / "cervical_t2" / "errsm_20_T2w.nii.gz"
    wrapper = SHARED / "tools" / "nifti_to_dicom_series.py"
    if not (volume.exists() and wrapper.exists()):
        pytest.skip("the cervical T2 volume or its wrapper is not beside the repository")
    folder = tmp_path_factory.mktemp("cervical")
    subprocess.run([sys.executable, wrapper, volume, folder], check=True)
    return sorted(folder.glob("*.dcm"))


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
