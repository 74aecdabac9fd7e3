"""Writes trained-model folders as nnU-Net v2 writes them."""

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from node.durable import write_durably
from node.segment.models.exporting import TRAINER, folder_name
from node.segment.models.modelfolder import FINAL
from node.train.plans import Json

CONFIGURATIONS = ("2d", "3d_fullres")

#: Axes along which a configuration was mirrored in training and may be at inference; 0 is left-right.
MIRRORS: dict[str, tuple[int, ...] | None] = {"2d": None, "3d_fullres": (0,)}


def half_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the network's state in half precision; tensors it holds under several names are stored once."""
    halves: dict[int, torch.Tensor] = {}
    state = network.state_dict()
    for tensor in state.values():
        halves.setdefault(tensor.data_ptr(), tensor.detach().to("cpu", torch.float16).clone())
    return {name: halves[tensor.data_ptr()] for name, tensor in state.items()}


def write_member(out: Path, configuration: str, network: nn.Module, plans: Json, dataset: Json) -> Path:
    """Write one configuration's folder with fold 0 under `out` and return the checkpoint's path.

    The checkpoint holds plain Python values and tensors only: it loads with `weights_only=True`.
    """
    folder = out / folder_name(configuration)
    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    _write_json(folder / "plans.json", plans)
    _write_json(folder / "dataset.json", dataset)
    checkpoint: dict[str, Any] = {
        "network_weights": half_weights(network),
        "optimizer_state": None,
        "grad_scaler_state": None,
        "logging": None,
        "_best_ema": None,
        "current_epoch": 1,
        "init_args": {"plans": plans, "configuration": configuration, "fold": 0, "dataset_json": dataset},
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": MIRRORS[configuration],
    }
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    path = folder / "fold_0" / FINAL
    write_durably(path, [buffer.getbuffer()])
    return path


def _write_json(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
