"""Stored pixel values to modality values (PS3.3 C.7.6.3, C.11.1; PS3.5 8).

Native data is cut out of the file here; encapsulated data goes to the codecs in their own process. What a frame claims
about its size is held against the header and a limit before anything is allocated.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.assemble.codec.process import CODECS, CodecProcess
from node.assemble.elements import EXPLICIT_BIG, DataSet, PixelPlace, read_elements
from node.assemble.pixel_format import MAX_VOXELS, RLE, IntegerArray, PixelFormat, significant
from node.domain.series import Frame
from node.errors import TruncatedFile, UndecodablePixels, UnsupportedTransferSyntax

#: No lossless coding of as many voxels as are allowed is longer.
MAX_ENCAPSULATED_BYTES = 2**29

_LARGEST = float(np.finfo(np.float32).max)
_INTEGER_TYPES: tuple[type[np.int16 | np.uint16 | np.int32], ...] = (np.int16, np.uint16, np.int32)


def decode(frames: Sequence[Frame], codecs: CodecProcess = CODECS) -> NDArray[np.generic]:
    """Return modality values `(frames, rows, columns)` in the order given.

    int16, uint16 or int32, the first that holds them, where every rescale keeps integers; else float32. MONOCHROME1
    stays as it is: it speaks of display only (`Volume.lowest_is_white`). Raises UndecodablePixels,
    UnsupportedTransferSyntax, TruncatedFile, or SystemFailed where the codecs' process cannot be had.
    """
    voxels = sum(frame.rows * frame.columns for frame in frames)
    if voxels > MAX_VOXELS:
        raise UndecodablePixels(f"more than {MAX_VOXELS} voxels in one volume")
    by_path: dict[Path, list[int]] = {}
    for index, frame in enumerate(frames):
        by_path.setdefault(frame.path, []).append(index)
    planes: list[IntegerArray | None] = [None] * len(frames)
    for path, indices in by_path.items():
        numbers = [(frames[index].frame_number or 1) - 1 for index in indices]
        for index, plane in zip(indices, _stored(path, numbers, codecs), strict=True):
            if plane.shape != (frames[index].rows, frames[index].columns):
                raise UndecodablePixels("the decoded frame has another size than its header says")
            planes[index] = plane
    slopes = [frame.rescale_slope for frame in frames]
    intercepts = [frame.rescale_intercept for frame in frames]
    return _rescaled([plane for plane in planes if plane is not None], slopes, intercepts)


def _rescaled(
    planes: Sequence[IntegerArray],
    slopes: Sequence[float],
    intercepts: Sequence[float],
) -> NDArray[np.generic]:
    ends = [
        float(stored) * slope + intercept
        for plane, slope, intercept in zip(planes, slopes, intercepts, strict=True)
        for stored in (plane.min(), plane.max())
    ]
    if not all(abs(end) <= _LARGEST for end in ends):
        raise UndecodablePixels("the rescale leads to values that a 32-bit number does not hold")
    whole = all(value.is_integer() for value in (*slopes, *intercepts))
    dtype = next((t for t in _INTEGER_TYPES if whole and _holds(t, min(ends), max(ends))), np.float32)
    out = np.empty((len(planes), *planes[0].shape), dtype=dtype)
    for index, (plane, slope, intercept) in enumerate(zip(planes, slopes, intercepts, strict=True)):
        out[index] = plane if (slope, intercept) == (1.0, 0.0) else (plane * slope + intercept).astype(dtype)
    return out


def _holds(dtype: type[np.int16 | np.uint16 | np.int32], low: float, high: float) -> bool:
    limits = np.iinfo(dtype)
    return limits.min <= low and high <= limits.max


def _stored(path: Path, numbers: Sequence[int], codecs: CodecProcess) -> Iterator[IntegerArray]:
    """Yield the stored values `(rows, columns)` of the frames `numbers` (0-based) of the object at `path`."""
    data = read_elements(path)
    pixels = data.pixels
    if pixels is None or pixels.keyword != "PixelData":
        raise UndecodablePixels("no integer pixel data")
    pixel_format = _format(data)
    if pixels.fragments is not None:
        if pixels.length > MAX_ENCAPSULATED_BYTES:
            raise UndecodablePixels(f"more than {MAX_ENCAPSULATED_BYTES} bytes of compressed pixel data")
        # RLE codes whole cells, the other codecs the stored bits alone.
        shift = _shift(pixel_format) if pixel_format.transfer_syntax_uid == RLE else 0
        for cells in codecs.decode(path, (pixels.offset, pixels.length), pixel_format, numbers):
            yield significant(cells, pixel_format, shift)
        return
    with path.open("rb") as file:
        for number in numbers:
            if (number + 1) * pixel_format.frame_bytes > pixels.length:
                raise TruncatedFile("the pixel data is shorter than Rows x Columns x frames")
            file.seek(pixels.offset + number * pixel_format.frame_bytes)
            yield _native(file.read(pixel_format.frame_bytes), pixel_format, pixels)


def _format(data: DataSet) -> PixelFormat:
    elements = data.elements
    if (elements.whole("SamplesPerPixel") or 1) != 1 or elements.text("PhotometricInterpretation") not in (
        "MONOCHROME1",
        "MONOCHROME2",
        None,
    ):
        raise UndecodablePixels("colour pixels; a volume has one sample per pixel")
    bits_allocated = elements.whole("BitsAllocated") or 0
    bits_stored = elements.whole("BitsStored") or bits_allocated
    high_bit = elements.whole("HighBit") or bits_stored - 1
    if bits_allocated not in (8, 16, 32) or not 1 <= bits_stored <= high_bit + 1 <= bits_allocated:
        raise UndecodablePixels("BitsAllocated, BitsStored and HighBit do not fit each other (PS3.5 8.1.1)")
    if data.transfer_syntax_uid == EXPLICIT_BIG and bits_allocated == 8:
        raise UnsupportedTransferSyntax("8-bit pixels in the retired big endian transfer syntax")
    return PixelFormat(
        transfer_syntax_uid=data.transfer_syntax_uid,
        number_of_frames=max(elements.whole("NumberOfFrames") or 1, 1),
        rows=elements.whole("Rows") or 0,
        columns=elements.whole("Columns") or 0,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=high_bit,
        signed=elements.whole("PixelRepresentation") == 1,
    )


def _native(raw: bytes, pixel_format: PixelFormat, pixels: PixelPlace) -> IntegerArray:
    if pixels.length == 0 or len(raw) < pixel_format.frame_bytes:
        raise TruncatedFile("the file ends inside its pixel data")
    order = ">" if pixel_format.transfer_syntax_uid == EXPLICIT_BIG else "<"
    cells = np.frombuffer(raw, dtype=f"{order}u{pixel_format.bits_allocated // 8}")
    cells = cells.reshape(pixel_format.rows, pixel_format.columns)
    return significant(cells, pixel_format, _shift(pixel_format))


def _shift(pixel_format: PixelFormat) -> int:
    return pixel_format.high_bit + 1 - pixel_format.bits_stored
