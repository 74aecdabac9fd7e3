"""What single members and folds answered, to be held against each other.

Nothing here takes part in the ensemble's answer: folds are compared on the image's grid by nearest neighbour.
"""

from collections.abc import Sequence

import torch

from node.segment.nnunet.resampling import nearest


def opinions(members: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Return the names of what is compared: the configurations if there are several, then the folds where there are.

    `members`: a configuration and the names of its folds.

    >>> opinions([("2d", ["2d fold 0", "2d fold 1"]), ("3d_fullres", ["3d_fullres fold 0"])])
    ('2d', '3d_fullres', '2d fold 0', '2d fold 1')
    >>> opinions([("2d", ["2d fold 0"])])
    ()
    """
    configurations = [name for name, _ in members] if len(members) > 1 else []
    return (*configurations, *(fold for _, folds in members if len(folds) > 1 for fold in folds))


def running_maximum(shares: torch.Tensor) -> torch.Tensor:
    """Return the class with the largest share, uint8, of `(classes, ...)`; ties go to the lowest class."""
    best = shares[0].clone()
    classes = torch.zeros_like(best, dtype=torch.uint8)
    for number, share in enumerate(shares[1:], start=1):
        classes.masked_fill_(share > best, number)
        torch.maximum(best, share, out=best)
    return classes


def carried(classes: torch.Tensor, shape: Sequence[int], wanted: Sequence[slice]) -> torch.Tensor:
    """Return `classes` (slices, rows, columns) on a grid of `shape` by nearest neighbour, the part `wanted` of it."""
    for axis, (size, part) in enumerate(zip(shape, wanted, strict=True)):
        taken = torch.from_numpy(nearest(classes.shape[axis], size)[part]).to(classes.device)
        classes = classes.index_select(axis, taken)
    return classes
