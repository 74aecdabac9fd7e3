"""Encapsulated pixel data to cells, by the codecs that pydicom knows. Runs in the codecs' process only.

What a code stream claims about its size is held against the header before a codec sees it.
"""

import struct
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

from node.assemble.codec.work import Answer, Refused
from node.assemble.pixel_format import RLE, IntegerArray, PixelFormat

#: Plug-ins of pydicom in the order in which they are taken: OpenJPEG, CharLS, then GDCM for the rest of JPEG.
_CODECS = ("pylibjpeg", "pyjpegls", "gdcm")
#: What pydicom and its plugins raise on data that is not what it claims to be; memory is limited in this process.
_DECODER_FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    struct.error,
    TypeError,
    ValueError,
)
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def cells_of(raw: bytes, pixel_format: PixelFormat, numbers: Sequence[int]) -> Iterator[IntegerArray]:
    """Yield the cells `(rows, columns)` of the frames `numbers` (0-based) of encapsulated data. Raises Refused."""
    streams = _streams(raw, pixel_format.number_of_frames)
    for number in numbers:
        if number >= len(streams):
            raise Refused(Answer.TOO_FEW_FRAMES)
        yield _cells(streams[number], pixel_format)


def _streams(raw: bytes, number_of_frames: int) -> list[bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(generate_frames(raw, number_of_frames=number_of_frames))
    except _DECODER_FAULTS as fault:
        raise Refused(Answer.NO_FRAMES) from fault


def _cells(stream: bytes, pixel_format: PixelFormat) -> IntegerArray:
    rle = pixel_format.transfer_syntax_uid == RLE
    size = (pixel_format.rows, pixel_format.columns)
    if not rle and _coded_size(stream) not in (size, None):
        raise Refused(Answer.OTHER_SIZE)
    decoder = get_decoder(pixel_format.transfer_syntax_uid)
    if not decoder.is_available:
        raise Refused(Answer.NO_CODEC)
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
        raise Refused(Answer.GAVE_UP) from fault
    if cells.shape != size:
        raise Refused(Answer.OTHER_SIZE)
    return cells.view(f"u{cells.dtype.itemsize}").astype(f"=u{pixel_format.bits_allocated // 8}")


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
