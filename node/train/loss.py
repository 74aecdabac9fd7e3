"""What is minimised, and what is measured at each look at the validation cases."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from node.train.pool import UNKNOWN, Case

CLASSES = 3
#: Every side of an input must divide by this (slices aside), whatever the number of stages up to six.
_GRID = 32


def segmentation_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return cross-entropy plus one minus the batch's soft Dice of bodies and discs, voxels `UNKNOWN` left out.

    `logits`: (batch, classes, ...) float32; `truth`: (batch, ...) int64.
    """
    known = truth != UNKNOWN
    count = known.sum().clamp(min=1)
    entropy = nn.functional.cross_entropy(logits, truth, ignore_index=UNKNOWN, reduction="sum") / count
    share = torch.softmax(logits, dim=1)
    terms = []
    for label in range(1, CLASSES):
        wanted = (truth == label).float()
        given = share[:, label] * known
        terms.append((2 * (given * wanted).sum() + 1.0) / (given.sum() + wanted.sum() + 1.0))
    return entropy + 1.0 - torch.stack(terms).mean()


@torch.no_grad()
def validation_dice(network: nn.Module, configuration: str, cases: Sequence[Case]) -> tuple[float, float]:
    """Return the Dice of bodies and of discs over all voxels of `cases`, each volume seen whole."""
    both, either = np.zeros(CLASSES), np.zeros(CLASSES)
    device = next(network.parameters()).device
    network.eval()
    for case in cases:
        slices, rows, columns = case.image.shape
        pads = ((0, -slices % 8), (0, -rows % _GRID), (0, -columns % _GRID))
        padded = torch.from_numpy(np.pad(case.image.astype(np.float32), pads)).to(device)
        if configuration == "2d":
            found = torch.cat([network(piece[:, None]).argmax(dim=1) for piece in torch.split(padded, 4)])
        else:
            found = network(padded[None, None])[0].argmax(dim=0)
        seen = found[:slices, :rows, :columns].cpu().numpy()
        for label in range(1, CLASSES):
            both[label] += 2.0 * np.count_nonzero((seen == label) & (case.labels == label))
            either[label] += np.count_nonzero(seen == label) + np.count_nonzero(case.labels == label)
    network.train()
    dice = both / np.maximum(either, 1.0)
    return float(dice[1]), float(dice[2])
