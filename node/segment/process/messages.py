"""What the node and its engine say to each other.

A message is a header in JSON, parsed into a frozen model, and the bytes of at most one array after it. Nothing that the
other side could run as code crosses, and nothing of a patient but voxels on a grid.
"""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from node import errors
from node.domain.anatomy import StructureKind
from node.domain.findings import Algorithm, Run, Segmentation
from node.domain.geometry import Grid
from node.errors import EngineError, NodeError
from node.segment.devices import Device
from node.segment.layers import Layers, packed
from node.settings import ModelSettings

_LARGEST_LENGTH = 1 << 16
Length = Annotated[int, Field(ge=1, le=_LARGEST_LENGTH)]
Shape = tuple[Length, Length, Length]
#: A part of a length, which may be none of it.
Part = Annotated[int, Field(ge=0, le=_LARGEST_LENGTH)]
Parts = tuple[Part, Part, Part]
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
    """From the child: a segmentation.

    Its layers follow, `(layers, slices, rows, columns)`: the classes, the probabilities of `kinds`, the opinions. One
    box of each crosses, `size` voxels from `corner` on; outside of it all are zero.
    """

    what: Literal["answer"] = "answer"
    number: int
    dtype: Literal["uint8"] = "uint8"
    #: Of the whole volume.
    shape: Shape
    corner: Parts
    size: Parts
    kinds: tuple[StructureKind, ...]
    opinions: tuple[str, ...]
    meanings: dict[int, StructureKind]
    algorithm: Algorithm
    run: Run

    @model_validator(mode="after")
    def _lies_within_the_volume(self) -> Self:
        if any(start + size > whole for start, size, whole in zip(self.corner, self.size, self.shape, strict=True)):
            raise ValueError("the box reaches beyond the volume")
        return self

    @model_validator(mode="after")
    def _names_each_layer_once(self) -> Self:
        if len(set(self.kinds)) < len(self.kinds) or len(set(self.opinions)) < len(self.opinions):
            raise ValueError("two layers have one name")
        return self

    @classmethod
    def of(cls, number: int, found: Segmentation) -> "tuple[Answer, NDArray[np.uint8]]":
        """Return what is said of `found`, and the layers that follow it."""
        layers = packed([found.classes, *found.probabilities.values(), *found.opinions.values()])
        _, *size = layers.voxels.shape
        said = cls(
            number=number,
            shape=layers.whole,
            corner=layers.corner,
            size=(size[0], size[1], size[2]),
            kinds=tuple(found.probabilities),
            opinions=tuple(found.opinions),
            meanings=dict(found.meanings),
            algorithm=found.algorithm,
            run=found.run,
        )
        return said, layers.voxels

    @property
    def layers(self) -> int:
        """How many volumes it is about."""
        return 1 + len(self.kinds) + len(self.opinions)

    def segmentation(self, voxels: NDArray[np.generic]) -> Segmentation:
        """Return the segmentation that this is said of; `voxels` are its layers, in the boxes that crossed."""
        layers = Layers(voxels=voxels.astype(np.uint8, copy=False), corner=self.corner, whole=self.shape)
        volumes = layers.unpacked()
        heads = 1 + len(self.kinds)
        return Segmentation(
            classes=volumes[0],
            meanings=self.meanings,
            probabilities=dict(zip(self.kinds, volumes[1:heads], strict=True)),
            opinions=dict(zip(self.opinions, volumes[heads:], strict=True)),
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


class Serving(_Message):
    """From a worker, first: its networks are in memory."""

    what: Literal["serving"] = "serving"
    #: Of its software: a node of another one does not ask it.
    version: str
    algorithm: Algorithm
    #: How many devices compute there.
    devices: int = Field(ge=1)


class Alive(_Message):
    """From a worker, every few seconds: it has not stopped."""

    what: Literal["alive"] = "alive"
    #: What the driver says of the machine's devices now: the node itself may not be let to them.
    devices: tuple[Device, ...] = ()


Message = Start | Ready | Case | Begun | Answer | Failure | Serving | Alive

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


def array_shape(message: Case | Answer) -> tuple[int, ...]:
    """Return the shape of the array that follows a message."""
    return message.shape if isinstance(message, Case) else (message.layers, *message.size)


def whole_bytes(message: Case | Answer) -> int:
    """Return how many bytes the volumes of a message take, all that is not sent of them included."""
    count = 1 if isinstance(message, Case) else message.layers
    return count * math.prod(message.shape) * np.dtype(message.dtype).itemsize
