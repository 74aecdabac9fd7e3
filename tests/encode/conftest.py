"""Sources, real and made, and all objects of a case on each."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from cases import EVERYTHING, KEY, NECK, case_of, doubtful_neck, series_of, synthetic, whole_neck

from node.domain.case import EncodedObject
from node.domain.geometry import Volume
from node.domain.series import Series
from node.encode.encoding import Case, encode


@pytest.fixture(scope="session")
def plain_source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, Volume]:
    """A made series: 9 slices of 64 x 44."""
    return synthetic(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def sources(
    plain_source: tuple[Series, Volume], wrapped_cervical: Path, shared_data: Path
) -> Mapping[str, tuple[Series, Volume]]:
    """A made series, a real neck, Siemens classic with 86 columns, and Siemens Enhanced with the same."""
    epi = shared_data / "dicom" / "siemens_sagittal_epi"
    return {
        "made": plain_source,
        "neck": series_of(wrapped_cervical.glob("*.dcm")),
        "classic": series_of((epi / "classic").glob("*.dcm")),
        "enhanced": series_of(sorted((epi / "enhanced").glob("*.dcm"))[:1]),
    }


@pytest.fixture(scope="session")
def objects(sources: Mapping[str, tuple[Series, Volume]]) -> Mapping[str, tuple[Case, dict[str, EncodedObject]]]:
    """A case on each source, with every object by name."""
    made = {name: whole_neck(sources[name]) for name in ("made", "neck")}
    made |= {name: case_of(sources[name], NECK[5:8], pictures=1) for name in ("classic", "enhanced")}
    made["doubtful"] = doubtful_neck(sources["made"])
    return {name: (case, {one.name: one for one in encode(case, KEY, EVERYTHING)}) for name, case in made.items()}
