"""Weights on disk: nnU-Net's checkpoints, read without running code from them, and the bundle's safetensors."""

import pickle
import struct
import tarfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from node.errors import BundleError

Weights = dict[str, torch.Tensor]

#: nnU-Net's own checkpoints hold numpy scalars beside the weights (its logger's figures); numpy before 2.0 called the
#: function that makes them by another name.
_scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
_SCALARS = [
    _scalar,
    (_scalar, "numpy.core.multiarray.scalar"),
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
]
#: What damaged or foreign bytes raise in torch's reader, and what a checkpoint of another shape raises below it.
_NO_CHECKPOINT = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    pickle.UnpicklingError,
    struct.error,
    tarfile.TarError,
)


_NUMBERS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What nnU-Net's trainer wrote about one fold."""

    weights: Mapping[str, torch.Tensor]
    trainer: str
    configuration: str
    #: Axes that the training mirrored; empty for none.
    mirror_axes: tuple[int, ...]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of nnU-Net with `weights_only`: nothing in it is called. Raises BundleError."""
    try:
        with torch.serialization.safe_globals(_SCALARS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(
            weights=_tensors(content["network_weights"]),
            trainer=str(content["trainer_name"]),
            configuration=str(content["init_args"]["configuration"]),
            mirror_axes=tuple(int(axis) for axis in content.get("inference_allowed_mirroring_axes") or ()),
        )
    except _NO_CHECKPOINT as error:
        raise BundleError(
            f"{path}: not a checkpoint of nnU-Net, or one that holds code: {type(error).__name__}"
        ) from error


def _tensors(content: Mapping[Any, Any]) -> Weights:
    """Return the state of a network. Raises TypeError when it holds anything but dense tensors of numbers."""
    for name, tensor in content.items():
        plain = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and not tensor.is_quantized
        if not isinstance(name, str) or not plain or tensor.dtype not in _NUMBERS:
            raise TypeError("not a dense tensor")
    return dict(content)


def read_weights(path: Path) -> Weights:
    """Read a fold of a bundle. Raises BundleError."""
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise BundleError(f"{path}: not a safetensors file: {type(error).__name__}") from error


def write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a fold of a bundle; no two tensors may share their memory."""
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)
