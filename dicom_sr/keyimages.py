"""Write pictures as Secondary Captures (PS3.3 A.8.1): what a SEG and an SR say, for those who open neither."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_sr import codes
from dicom_sr.composite import CompositeClass, new_composite, seal
from dicom_sr.errors import InvalidResult
from dicom_sr.identity import derive_uid
from dicom_sr.items import EncodedItem, Value, attach, code_item, item
from dicom_sr.model import AlgorithmIdentity, AlgorithmType, FrameReference, ResultInstance
from dicom_sr.source import SourceSeries

#: What the outlines of a picture are, in its Derivation Description (0008,2111).
_MADE: Mapping[AlgorithmType, str] = MappingProxyType(
    {
        AlgorithmType.AUTOMATIC: "an automatic segmentation",
        AlgorithmType.SEMIAUTOMATIC: "a semiautomatic segmentation",
        AlgorithmType.MANUAL: "a manual segmentation",
    }
)

_STORAGE_CLASS = CompositeClass(uid=SecondaryCaptureImageStorage, modality="OT")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyImage:
    """A picture: `pixels`, uint8 `(rows, columns, 3)`, red green blue; `sources`, the images that it shows."""

    pixels: NDArray[np.uint8]
    sources: tuple[FrameReference, ...]

    def __post_init__(self) -> None:
        """Raise InvalidResult when the pixels are no picture, or it shows no image."""
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or not self.pixels.size:
            raise InvalidResult(f"a picture is uint8 (rows, columns, 3), not {self.pixels.dtype} {self.pixels.shape}")
        if not self.sources:
            raise InvalidResult("a picture shows at least one image")


def build_key_images(
    *,
    source: SourceSeries,
    pictures: Sequence[KeyImage],
    instance: ResultInstance,
    algorithms: Iterable[AlgorithmIdentity] = (),
    algorithm_type: AlgorithmType = AlgorithmType.AUTOMATIC,
) -> tuple[Dataset, ...]:
    """Return an instance for each picture, all in the series of `instance`.

    `algorithms`, `algorithm_type`: how the outlines in the pictures came about.

    Picture `n`, counted from 1, has the Instance Number `n` and a UID derived from `instance.sop_instance_uid` and `n`.
    Raises InvalidResult for a picture of an image outside `source`.
    """
    named = tuple(algorithms)
    known = set(source.slices)
    for picture in pictures:
        if not known.issuperset(picture.sources):
            raise InvalidResult("a picture shows an image that is not in the source series")
    made = _MADE[algorithm_type]
    return tuple(_build(source, picture, instance, named, made, number) for number, picture in enumerate(pictures, 1))


def _build(
    source: SourceSeries,
    picture: KeyImage,
    instance: ResultInstance,
    algorithms: tuple[AlgorithmIdentity, ...],
    made: str,
    number: int,
) -> Dataset:
    own_uid = derive_uid("key image", instance.sop_instance_uid, str(number))
    own = replace(instance, sop_instance_uid=own_uid)
    dataset = new_composite(source, own, _STORAGE_CLASS, number)
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.BodyPartExamined = "CSPINE"  # unpaired, so that Laterality is absent (PS3.3 C.7.3.1)
    dataset.BurnedInAnnotation = "YES"
    dataset.LossyImageCompression = "00"
    dataset.DerivationDescription = f"Outlines and measurements of {made} drawn over the source image"
    attach(dataset, "DerivationCodeSequence", [code_item(codes.SEGMENTATION)])
    attach(dataset, "SourceImageSequence", [_source_image(source, reference) for reference in picture.sources])
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    value = picture.pixels.tobytes()
    dataset.PixelData = value + b"\0" * (len(value) % 2)
    dataset["PixelData"].VR = "OB"
    seal(dataset, source, own, algorithms)
    return dataset


def _source_image(source: SourceSeries, reference: FrameReference) -> EncodedItem:
    frame: dict[str, Value] = {}
    if reference.frame_number is not None:
        frame["ReferencedFrameNumber"] = reference.frame_number
    return item(
        ReferencedSOPClassUID=source.headers[0].SOPClassUID,
        ReferencedSOPInstanceUID=reference.sop_instance_uid,
        PurposeOfReferenceCodeSequence=[code_item(codes.SOURCE_IMAGE_FOR_PROCESSING)],
        **frame,
    )
