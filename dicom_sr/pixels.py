"""Pixels of a segmentation: Image Pixel and what of Segmentation Image follows from the form (PS3.3 C.8.20.2)."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from dicom_sr.frames import Frames


def add_binary(dataset: Dataset, labels: NDArray[np.uint8] | NDArray[np.uint16], frames: Frames) -> None:
    """Add one bit a pixel, least significant first, without padding between frames (PS3.5 8.1.1, annex D)."""
    _describe(dataset, labels.shape[1:], len(frames), bits=1)
    dataset.SegmentsOverlap = "NO"
    dataset.PresentationLUTShape = "IDENTITY"
    shown = zip(frames.slices, frames.segments, strict=True)
    if labels[0].size % 8 == 0:
        packed = b"".join(np.packbits(labels[place] == number, bitorder="little").tobytes() for place, number in shown)
    else:  # a frame begins within a byte
        bits = np.concatenate([(labels[place] == number).ravel() for place, number in shown])
        packed = np.packbits(bits, bitorder="little").tobytes()
    _add_pixel_data(dataset, packed)


def add_labelmap(dataset: Dataset, labels: NDArray[np.uint8] | NDArray[np.uint16], frames: Frames) -> None:
    """Add one number a pixel, 8 bits where they suffice, 0 for background; each frame in RLE (PS3.5 annex G)."""
    narrow = labels.astype(np.uint8 if labels.max() < 256 else np.uint16, copy=False)
    bits = narrow.dtype.itemsize * 8
    _describe(dataset, labels.shape[1:], len(frames), bits=bits)
    dataset.add_new("PixelPaddingValue", "US", 0)
    keywords = {
        "rows": labels.shape[1],
        "columns": labels.shape[2],
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": bits,
        "bits_stored": bits,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
    }
    encoder = get_encoder(RLELossless)
    coded = [
        encoder.encode(np.ascontiguousarray(narrow[place]), encoding_plugin="pydicom", **keywords)
        for place in frames.slices
    ]
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def add_fractional(dataset: Dataset, fractions: NDArray[np.uint8], frames: Frames) -> None:
    """Add probabilities, 255 = 1, a byte a pixel."""
    _describe(dataset, fractions.shape[2:], len(frames), bits=8)
    dataset.SegmentationFractionalType = "PROBABILITY"
    dataset.MaximumFractionalValue = 255
    dataset.SegmentsOverlap = "YES" if (np.count_nonzero(fractions, axis=0) > 1).any() else "NO"
    dataset.PresentationLUTShape = "IDENTITY"
    shown = zip(frames.segments, frames.slices, strict=True)
    _add_pixel_data(dataset, b"".join(fractions[number - 1, place].tobytes() for number, place in shown))


def _describe(dataset: Dataset, shape: tuple[int, ...], frames: int, bits: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = shape
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0


def _add_pixel_data(dataset: Dataset, value: bytes) -> None:
    dataset.PixelData = value + b"\0" * (len(value) % 2)
    dataset["PixelData"].VR = "OB"
