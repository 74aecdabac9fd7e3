"""Fits one network: a plain loop, because two CPU cores have no time for nnU-Net's own."""

import copy
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from node.train.cases import Cases, vary
from node.train.modelfolder import write_member
from node.train.plans import Json

LOG = logging.getLogger(__name__)

#: Every side of an input must divide by this (slices aside), whatever the number of stages up to six.
_GRID = 32
_EMA = 0.995
_CLASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how hard one member is trained; whichever of `steps` and `minutes` is over first ends it."""

    patch: tuple[int, int, int]  #: slices, rows, columns
    batch: int
    steps: int
    minutes: float
    learning_rate: float
    snapshots: int  #: how often the validation cases are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a member is trained on: a folder of prepared cases, and which seeds of it are for what."""

    folder: Path
    training: range
    validation: range


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One configuration to be trained, with nnU-Net's description of it."""

    configuration: str
    plans: Json
    dataset: Json
    schedule: Schedule
    seed: int
    threads: int


def build(plans: Json, configuration: str) -> nn.Module:
    """Return the untrained network that the plans describe, as nnU-Net builds it, without deep supervision."""
    described = plans["configurations"][configuration]["architecture"]
    network: nn.Module = get_network_from_plans(
        described["network_class_name"],
        described["arch_kwargs"],
        described["_kw_requires_import"],
        1,
        _CLASSES,
        allow_init=True,
        deep_supervision=False,
    )
    return network


def fit(out: Path, member: Member, material: Material) -> dict[str, float]:
    """Train one member, keep its best snapshot as a model folder in `out`, and say how it went.

    Returns the steps done, the minutes taken and the validation Dice of the snapshot kept. Snapshots are exponential
    means of the weights; the best on the validation cases stays, because the last one need not be the best.
    """
    torch.set_num_threads(member.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(member.seed)
    rng = np.random.default_rng(member.seed)
    training, validation = Cases(material.folder, material.training), Cases(material.folder, material.validation)
    network = build(member.plans, member.configuration)
    mean = copy.deepcopy(network).requires_grad_(requires_grad=False)
    schedule = member.schedule
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate, weight_decay=1e-4)
    started, step, progress, best, looked = time.monotonic(), 0, 0.0, -1.0, 0
    while progress < 1.0:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 40)
            group["lr"] = schedule.learning_rate * warm * (0.5 * (1.0 + math.cos(math.pi * progress)) + 1e-3)
        image, truth = _draw(rng, training, member)
        loss = segmentation_loss(network(image), truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        optimizer.step()
        step += 1
        _follow(mean, network, min(_EMA, (1 + step) / (10 + step)))
        elapsed = (time.monotonic() - started) / 60
        progress = min(1.0, max(step / schedule.steps, elapsed / schedule.minutes))
        if int(progress * schedule.snapshots) > looked:
            looked = int(progress * schedule.snapshots)
            dice = validation_dice(mean, member.configuration, validation)
            LOG.info("%s step %d, %.1f min, loss %.3f, validation Dice bodies %.3f discs %.3f",
                     member.configuration, step, elapsed, loss.item(), dice[0], dice[1])  # fmt: skip
            if sum(dice) / 2 > best:
                best = sum(dice) / 2
                write_member(out, member.configuration, mean, member.plans, member.dataset)
    return {"steps": step, "minutes": round((time.monotonic() - started) / 60, 1), "validation_dice": round(best, 4)}


def _draw(rng: np.random.Generator, cases: Cases, member: Member) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch: image (batch, 1, ...) float32 and labels (batch, ...) int64."""
    images, labels = [], []
    flat = member.configuration == "2d"
    for _ in range(member.schedule.batch):
        image, truth = cases.patch(rng, member.schedule.patch)
        image = vary(rng, image)
        if not flat and rng.random() < 0.5:
            image, truth = image[::-1], truth[::-1]
        images.append(np.ascontiguousarray(image[0] if flat else image))
        labels.append(np.ascontiguousarray(truth[0] if flat else truth))
    return torch.from_numpy(np.stack(images)[:, None]), torch.from_numpy(np.stack(labels).astype(np.int64))


def segmentation_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy plus one minus the batch's soft Dice of bodies and discs.

    `logits`: (batch, classes, ...) float32; `truth`: (batch, ...) int64.
    """
    entropy = nn.functional.cross_entropy(logits, truth)
    share = torch.softmax(logits, dim=1)
    terms = []
    for label in range(1, _CLASSES):
        wanted = (truth == label).float()
        given = share[:, label]
        terms.append((2 * (given * wanted).sum() + 1.0) / (given.sum() + wanted.sum() + 1.0))
    return entropy + 1.0 - torch.stack(terms).mean()


def _follow(mean: nn.Module, network: nn.Module, keep: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(mean.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - keep)


@torch.no_grad()
def validation_dice(network: nn.Module, configuration: str, cases: Cases) -> tuple[float, float]:
    """Return the Dice of bodies and of discs over all validation voxels, each volume seen whole."""
    both, either = np.zeros(_CLASSES), np.zeros(_CLASSES)
    network.eval()
    for image, labels in zip(cases.images, cases.labels, strict=True):
        slices, rows, columns = image.shape
        pads = ((0, -slices % 8), (0, -rows % _GRID), (0, -columns % _GRID))
        padded = torch.from_numpy(np.pad(image.astype(np.float32), pads))
        if configuration == "2d":
            logits = torch.cat([network(piece[:, None]) for piece in torch.split(padded, 4)])
            found = logits.argmax(dim=1).numpy()
        else:
            found = network(padded[None, None])[0].argmax(dim=0).numpy()
        found = found[:slices, :rows, :columns]
        for label in range(1, _CLASSES):
            both[label] += 2.0 * np.count_nonzero((found == label) & (labels == label))
            either[label] += np.count_nonzero(found == label) + np.count_nonzero(labels == label)
    network.train()
    dice = both / np.maximum(either, 1.0)
    return float(dice[1]), float(dice[2])
