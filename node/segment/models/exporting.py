"""A bundle becomes the folders that nnU-Net's own commands take, so that anybody can run these on the same weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from node.durable import new_folder_durably
from node.errors import BundleError
from node.segment.bundle import Bundle, Member
from node.segment.models.modelfolder import FINAL
from node.segment.nnunet.checkpoint import Weights, read_weights
from node.segment.nnunet.network import Plan, build_network, own_weights, read_plan

#: Every allowed trainer builds the network as planned, and this one is always there.
TRAINER = "nnUNetTrainer"
_PLANS = "nnUNetPlans"


def folder_name(configuration: str) -> str:
    """Return nnU-Net's name of a trained model's folder."""
    return f"{TRAINER}__{_PLANS}__{configuration}"


def export_model(bundle: Bundle, out: Path) -> list[Path]:
    """Write a bundle as trained-model folders into the new folder `out`, and return them. Raises BundleError."""
    if out.exists():
        raise BundleError(f"{out}: is there already")
    with new_folder_durably(out) as folder:
        for member in bundle.members:
            _write_member(folder / folder_name(member.configuration), member)
    return [out / folder_name(member.configuration) for member in bundle.members]


def _write_member(folder: Path, member: Member) -> None:
    folder.mkdir()
    for name in ("plans.json", "dataset.json"):
        shutil.copyfile(member.folder / name, folder / name)
    plan = read_plan(folder, member.configuration)
    for fold, file in zip(member.folds, member.weights, strict=True):
        own = folder / f"fold_{fold}"
        own.mkdir()
        torch.save(_checkpoint(folder, member, fold, full_state(plan, read_weights(file))), own / FINAL)


def full_state(plan: Plan, weights: Weights) -> Weights:
    """Return the state that a network of nnU-Net has: every tensor under all its names. Raises BundleError."""
    with torch.device("meta"):
        network = build_network(plan)
    own = own_weights(network)
    if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
        raise BundleError("plans and weights do not fit")
    first = {id(tensor): name for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    return {name: weights[first[id(tensor)]] for name, tensor in network.state_dict(keep_vars=True).items()}


def _checkpoint(folder: Path, member: Member, fold: str, state: Weights) -> dict[str, Any]:
    """Return what nnU-Net's predictor reads of a checkpoint, and the trainer's other keys without content."""
    plans, dataset = (json.loads((folder / name).read_text("utf-8")) for name in ("plans.json", "dataset.json"))
    return {
        "network_weights": state,
        "optimizer_state": None,
        "grad_scaler_state": None,
        "logging": None,
        "_best_ema": None,
        "current_epoch": 1,
        "init_args": {
            "plans": plans,
            "configuration": member.configuration,
            "fold": fold if fold == "all" else int(fold),
            "dataset_json": dataset,
        },
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": member.mirror_axes or None,
    }
