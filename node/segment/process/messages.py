"""What the node and its engine say to each other.

A message is a header in JSON, parsed into a frozen model, and the bytes of at most one array after it. Nothing that the
other side could run as code crosses, and nothing of a patient but voxels on a grid.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from node import errors
from node.domain.anatomy import StructureKind
from node.domain.findings import Algorithm, Run, Segmentation
from node.domain.geometry import Grid
from node.errors import EngineError, NodeError
from node.settings import ModelSettings

Length = Annotated[int, Field(ge=1, le=1 << 16)]
Shape = tuple[Length, Length, Length]
Row = tuple[float, float, float, float]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(_Message):
    """To the child, first: what to load, and where to compute."""

    what: Literal["start"] = "start"
    bundle: Path
    #: The bundle that the node has verified.
    digest: str
    settings: ModelSettings
    device: str


class Ready(_Message):
    """From the child: the networks are in memory."""

    what: Literal["ready"] = "ready"
    algorithm: Algorithm
    #: What "auto" came to, such as "cpu" or "cuda:0".
    device: str
    #: How many devices of this kind the machine has.
    devices: int = Field(ge=1)
    seconds: float


class Case(_Message):
    """To the child: a volume. Its voxels `(slices, rows, columns)` follow."""

    what: Literal["case"] = "case"
    number: int
    dtype: Literal["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
    shape: Shape
    #: `Grid.affine`, row by row.
    affine: tuple[Row, Row, Row, Row]

    @property
    def grid(self) -> Grid:
        """The grid of the voxels."""
        return Grid(shape=self.shape, affine=np.array(self.affine))


class Begun(_Message):
    """From the child: it works on a case now. If it ends from here on, that case may be why."""

    what: Literal["begun"] = "begun"
    number: int


class Answer(_Message):
    """From the child: a segmentation. Its classes `(slices, rows, columns)` follow."""

    what: Literal["answer"] = "answer"
    number: int
    dtype: Literal["uint8"] = "uint8"
    shape: Shape
    meanings: dict[int, StructureKind]
    member_agreement: dict[StructureKind, float | None]
    algorithm: Algorithm
    run: Run

    @classmethod
    def of(cls, number: int, found: Segmentation) -> "Answer":
        """Return what is said of `found`; `found.classes` is its array."""
        return cls(
            number=number,
            shape=found.classes.shape,
            meanings=dict(found.meanings),
            member_agreement=dict(found.member_agreement),
            algorithm=found.algorithm,
            run=found.run,
        )

    def segmentation(self, classes: NDArray[np.generic]) -> Segmentation:
        """Return the segmentation that this is said of."""
        return Segmentation(
            classes=classes.astype(np.uint8, copy=False),
            meanings=self.meanings,
            member_agreement=self.member_agreement,
            algorithm=self.algorithm,
            run=self.run,
        )


class Failure(_Message):
    """From the child: an error. It crosses by its code and text, and is raised as the same class."""

    what: Literal["failure"] = "failure"
    #: The case that failed; None when the engine did not load.
    number: int | None
    code: str
    text: str
    #: The child ends: its device cannot be trusted after this.
    ends: bool

    @classmethod
    def of(cls, error: NodeError, *, number: int | None, ends: bool) -> "Failure":
        """Return what is said of `error`."""
        return cls(number=number, code=error.code, text=str(error), ends=ends)

    def error(self) -> NodeError:
        """Return the error; an EngineError where the code is unknown here."""
        return _CLASSES.get(self.code, EngineError)(self.text)


Message = Start | Ready | Case | Begun | Answer | Failure

_CLASSES = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, NodeError) and kind is not NodeError
}

_PARSER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="what")])


def parse(header: bytes) -> Message:
    """Return the message of a header. Raises EngineError when it is none."""
    try:
        return _PARSER.validate_json(header)
    except ValueError as error:
        raise EngineError("the engine's process and the node do not understand each other") from error


def array_bytes(message: Message) -> int:
    """Return the size of the array that follows a message; 0 where none does."""
    if isinstance(message, Case | Answer):
        return math.prod(message.shape) * np.dtype(message.dtype).itemsize
    return 0
