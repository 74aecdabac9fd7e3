from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from result_cases import Case, result_instance

from dicom_sr import (
    FrameReference,
    InvalidObject,
    InvalidResult,
    KeyImage,
    build_key_images,
    derive_uid,
    is_own_result,
    read_key_image,
    to_bytes,
)


@pytest.fixture(scope="session")
def pictures(case: Case) -> tuple[Dataset, ...]:
    return tuple(dcmread(BytesIO(to_bytes(made))) for made in case.key_images())


def test_a_key_image_reads_back_with_its_pixels_and_what_it_shows(case: Case, pictures: tuple[Dataset, ...]) -> None:
    for number, (picture, size) in enumerate(zip(pictures, ((101, 77), (64, 48)), strict=True), 1):
        read = read_key_image(picture)
        assert (read.number, read.rows, read.columns) == (number, *size)
        assert read.sources == (case.source.slices[number - 1],)
        assert picture.pixel_array.shape == (*size, 3)
        assert (picture.pixel_array == 90).all()


def test_key_images_share_a_series_and_have_uids_of_their_own(pictures: tuple[Dataset, ...]) -> None:
    instance = result_instance("key")
    assert {picture.SeriesInstanceUID for picture in pictures} == {instance.series_instance_uid}
    assert [picture.SOPInstanceUID for picture in pictures] == [
        derive_uid("key image", instance.sop_instance_uid, number) for number in ("1", "2")
    ]
    assert [picture.file_meta.MediaStorageSOPInstanceUID for picture in pictures] == [
        picture.SOPInstanceUID for picture in pictures
    ]


def test_a_key_image_says_how_it_came_about(case: Case, pictures: tuple[Dataset, ...]) -> None:
    for picture in pictures:
        assert (picture.SOPClassUID, picture.Modality) == ("1.2.840.10008.5.1.4.1.1.7", "OT")
        assert (picture.ConversionType, picture.BurnedInAnnotation) == ("WSD", "YES")
        assert picture.ImageType == ["DERIVED", "SECONDARY"]
        assert picture.DerivationCodeSequence[0].CodeValue == "113076"
        assert picture.StudyInstanceUID == case.source.headers[0].StudyInstanceUID
        assert is_own_result(picture, "cspine-node")
        assert picture.ContributingEquipmentSequence[-1].ContributionDescription == "Algorithm cspine-ensemble"
        for element in case.source.set_aside:
            assert picture[element.tag].value == element.value


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.uint16),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InvalidResult, match="a picture is uint8"):
        KeyImage(pixels=pixels, sources=(FrameReference(sop_instance_uid="1.2.3"),))


def test_a_picture_of_nothing_or_of_another_series_is_refused(single: Case) -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(InvalidResult, match="at least one image"):
        KeyImage(pixels=pixels, sources=())
    other = KeyImage(pixels=pixels, sources=(FrameReference(sop_instance_uid="1.2.3"),))
    with pytest.raises(InvalidResult, match="not in the source series"):
        build_key_images(source=single.source, pictures=[other], instance=result_instance("key"))


def test_a_key_image_that_lost_pixels_or_is_none_is_refused(single: Case) -> None:
    picture, _ = single.key_images()
    picture.PixelData = picture.PixelData[:-300]
    with pytest.raises(InvalidObject, match="too short"):
        read_key_image(picture)
    with pytest.raises(InvalidObject, match="Secondary Capture"):
        read_key_image(single.segmentation())
