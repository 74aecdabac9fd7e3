"""Weights drawn from a seed, for networks that only have to take as long as trained ones."""

from pathlib import Path

import torch

from node.segment.bundle import weights_name
from node.segment.nnunet.checkpoint import write_weights
from node.segment.nnunet.network import build_network, own_weights, read_plan


def write_seeded_weights(folder: Path, configuration: str, folds: int, seed: int = 0) -> None:
    """Write the weights of `folds` folds beside the plans in `folder`, each from a seed of its own.

    They are those that torch and nnU-Net begin a training with.
    """
    plan = read_plan(folder, configuration)
    for fold in range(folds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + fold)
            network = build_network(plan)
        write_weights(folder / weights_name(str(fold)), own_weights(network))
