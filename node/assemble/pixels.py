"""Stored pixel values to modality values (PS3.3 C.7.6.3, C.11.1; PS3.5 8).

Native data is cut out of the file here; encapsulated frames go one by one through the codecs that pydicom knows. What a
frame claims about its size is held against the header and a limit before anything is allocated.
"""

import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

from node.assemble.elements import EXPLICIT_BIG, DataSet, PixelPlace, read_elements
from node.domain.series import Frame
from node.errors import TruncatedFile, UndecodablePixels, UnsupportedTransferSyntax

#: 512 x 512 x 512; the largest clinical spine volume is a quarter of it.
MAX_VOXELS = 2**27

#: Plug-ins of pydicom in the order in which they are taken: OpenJPEG, CharLS, then GDCM for the rest of JPEG.
_CODECS = ("pylibjpeg", "pyjpegls", "gdcm")
_RLE = "1.2.840.10008.1.2.5"
#: What pydicom and its plugins raise on data that is not what it claims to be.
_DECODER_FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    struct.error,
    TypeError,
    ValueError,
)
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}

_INTEGER_TYPES: tuple[type[np.int16 | np.uint16 | np.int32], ...] = (np.int16, np.uint16, np.int32)

IntegerArray = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How one object stores its pixels (PS3.3 C.7.6.3.1)."""

    transfer_syntax_uid: str
    number_of_frames: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def decode(frames: Sequence[Frame]) -> NDArray[np.generic]:
    """Return modality values `(frames, rows, columns)` in the order given.

    int16, uint16 or int32, the first that holds them, where every rescale keeps integers; else float32. MONOCHROME1
    stays as it is: it speaks of display only. Raises UndecodablePixels, UnsupportedTransferSyntax or TruncatedFile.
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
        for index, plane in zip(indices, _stored(path, numbers), strict=True):
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
    whole = all(value.is_integer() for value in (*slopes, *intercepts))
    dtype = next((t for t in _INTEGER_TYPES if whole and _holds(t, min(ends), max(ends))), np.float32)
    out = np.empty((len(planes), *planes[0].shape), dtype=dtype)
    for index, (plane, slope, intercept) in enumerate(zip(planes, slopes, intercepts, strict=True)):
        out[index] = plane if (slope, intercept) == (1.0, 0.0) else (plane * slope + intercept).astype(dtype)
    return out


def _holds(dtype: type[np.int16 | np.uint16 | np.int32], low: float, high: float) -> bool:
    limits = np.iinfo(dtype)
    return limits.min <= low and high <= limits.max


def _stored(path: Path, numbers: Sequence[int]) -> Iterator[IntegerArray]:
    """Yield the stored values `(rows, columns)` of the frames `numbers` (0-based) of the object at `path`."""
    data = read_elements(path)
    if data.pixels is None or data.pixels.keyword != "PixelData":
        raise UndecodablePixels("no integer pixel data")
    pixel_format = _format(data)
    with path.open("rb") as file:
        if data.pixels.fragments is None:
            for number in numbers:
                if (number + 1) * pixel_format.frame_bytes > data.pixels.length:
                    raise TruncatedFile("the pixel data is shorter than Rows x Columns x frames")
                file.seek(data.pixels.offset + number * pixel_format.frame_bytes)
                yield _native(file.read(pixel_format.frame_bytes), pixel_format, data.pixels)
            return
        file.seek(data.pixels.offset)
        streams = _streams(file.read(data.pixels.length), pixel_format.number_of_frames)
    for number in numbers:
        if number >= len(streams):
            raise TruncatedFile("fewer frames of pixel data than the header says")
        yield _encapsulated(streams[number], pixel_format)


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
    return _significant(cells, pixel_format, pixel_format.high_bit + 1 - pixel_format.bits_stored)


def _significant(cells: IntegerArray, pixel_format: PixelFormat, shift: int) -> IntegerArray:
    """Return BitsStored bits of each cell as a number; the other bits may hold overlays (PS3.5 8.1.1)."""
    spare = pixel_format.bits_allocated - pixel_format.bits_stored
    kind = "i" if pixel_format.signed else "u"
    width = pixel_format.bits_allocated // 8
    unsigned = cells.astype(f"=u{width}")
    # Up against the top first, so that the shift back down repeats the sign.
    return (unsigned << (spare - shift)).view(f"={kind}{width}") >> spare


def _streams(raw: bytes, number_of_frames: int) -> list[bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(generate_frames(raw, number_of_frames=number_of_frames))
    except _DECODER_FAULTS as fault:
        raise UndecodablePixels("the fragments of the pixel data make no frames (PS3.5 A.4)") from fault


def _encapsulated(stream: bytes, pixel_format: PixelFormat) -> IntegerArray:
    rle = pixel_format.transfer_syntax_uid == _RLE
    if not rle and _coded_size(stream) not in ((pixel_format.rows, pixel_format.columns), None):
        raise UndecodablePixels("the coded frame has another size than its header says")
    decoder = get_decoder(pixel_format.transfer_syntax_uid)
    if not decoder.is_available:
        raise UnsupportedTransferSyntax(f"no codec for transfer syntax {pixel_format.transfer_syntax_uid} is installed")
    options: dict[str, Any] = {
        "rows": pixel_format.rows,
        "columns": pixel_format.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_keyword": "PixelData",
        "bits_allocated": pixel_format.bits_allocated,
        # RLE codes whole cells, so that none of their bits is lost here.
        "bits_stored": pixel_format.bits_allocated if rle else pixel_format.bits_stored,
        "pixel_representation": int(pixel_format.signed),
        "decoding_plugin": next((name for name in _CODECS if name in decoder.available_plugins), ""),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cells, _ = decoder.as_array(encapsulate([stream], has_bot=False), index=0, raw=True, **options)
    except _DECODER_FAULTS as fault:
        raise UndecodablePixels("the codec gave up on the pixel data") from fault
    cells = cells.view(f"u{cells.dtype.itemsize}").astype(f"=u{pixel_format.bits_allocated // 8}")
    return _significant(cells, pixel_format, pixel_format.high_bit + 1 - pixel_format.bits_stored if rle else 0)


def _coded_size(stream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG or JPEG 2000 code stream, None where no size marker is found.

    SIZ of ISO/IEC 15444-1 A.5.1; SOF of ISO/IEC 10918-1 B.2.2 and of ISO/IEC 14495-1 C.2.2. A codec allocates what
    these say, whatever Rows and Columns are.
    """
    siz = stream.find(b"\xff\x4f\xff\x51")
    if 0 <= siz < 1024 and len(stream) >= siz + 24:
        width, height, left, top = struct.unpack_from(">4I", stream, siz + 8)
        return height - top, width - left
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", stream, at + 5)
            return height, width
        at += 1 if stream[at + 1] == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4])
    return None
