"""What the node asks of the codecs, and what they may answer. Only names of this file cross back, and cells."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from node.assemble.pixel_format import PixelFormat
from node.errors import InputError, TruncatedFile, UndecodablePixels, UnsupportedTransferSyntax


class Answer(Enum):
    """What became of a frame."""

    #: Its cells follow, `(rows, columns)`, unsigned, BitsAllocated each, in the byte order of this machine.
    CELLS = "cells"
    NO_FRAMES = "no frames"
    TOO_FEW_FRAMES = "too few frames"
    OTHER_SIZE = "other size"
    NO_CODEC = "no codec"
    GAVE_UP = "gave up"

    def error(self) -> InputError:
        """Return why there are no cells. Raises KeyError where there are."""
        kind, text = _ERRORS[self]
        return kind(text)


_ERRORS: dict[Answer, tuple[type[InputError], str]] = {
    Answer.NO_FRAMES: (UndecodablePixels, "the fragments of the pixel data make no frames (PS3.5 A.4)"),
    Answer.TOO_FEW_FRAMES: (TruncatedFile, "fewer frames of pixel data than the header says"),
    Answer.OTHER_SIZE: (UndecodablePixels, "the coded frame has another size than its header says"),
    Answer.NO_CODEC: (UnsupportedTransferSyntax, "no codec for this transfer syntax is installed"),
    Answer.GAVE_UP: (UndecodablePixels, "the codec gave up on the pixel data"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Frames `numbers` (0-based) of one object, whose encapsulated pixel data (PS3.5 A.4) has `length` bytes."""

    pixel_format: PixelFormat
    numbers: Sequence[int]
    length: int

    def header(self) -> bytes:
        """Return the work as it is sent, ahead of the pixel data."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, header: bytes) -> "Work":
        """Return the work that was sent."""
        said = json.loads(header)
        return cls(pixel_format=PixelFormat(**said.pop("pixel_format")), **said)


class Refused(Exception):
    """A frame that has no cells, within the codecs' process."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.value)
        self.answer = answer
