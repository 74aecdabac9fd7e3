"""Fits one network: a plain loop that can be killed at any moment and goes on where it was last written down."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import Tensor, nn

from node.errors import InputError
from node.segment.bundle import load_bundle
from node.segment.models.planfile import read_json
from node.segment.nnunet.checkpoint import read_weights
from node.segment.nnunet.network import load_weights
from node.train.augmentation import AS_DRAWN, MARGIN, Scale, augment
from node.train.curve import Look, write_curve
from node.train.loss import CLASSES, segmentation_loss, validation_dice
from node.train.lumbar import LumbarSlices
from node.train.modelfolder import write_member
from node.train.plans import Json
from node.train.pool import Case, Pool, cut, shallow
from node.train.progress import Progress

LOG = logging.getLogger(__name__)

_EMA = 0.998
_WARM_STEPS = 40
_SAY_MINUTES = 1.0
#: How often 3d_fullres sees a few slices only, as short series have them.
_SHALLOW_SHARE = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how hard one member is trained; whichever of `steps` and `minutes` is over first ends it."""

    patch: tuple[int, int, int]  #: slices, rows, columns
    batch: int
    steps: int
    minutes: float
    learning_rate: float
    snapshots: int  #: how often the validation cases are looked at
    save_minutes: float = 5.0  #: how often the state is written down between the looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a member is trained on: a folder of prepared cases, which seeds of it are for what, and real slices."""

    folder: Path
    training: range
    validation: range
    lumbar: Path | None = None  #: labelled lumbar slices that join the training


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One configuration to be trained, with nnU-Net's description of it."""

    configuration: str
    plans: Json
    dataset: Json
    schedule: Schedule
    seed: int
    threads: int
    device: str = "cpu"
    start: Path | None = None  #: bundle whose weights are taken to begin with

    @property
    def flat(self) -> bool:
        """Whether it sees single slices."""
        return self.configuration == "2d"


def build(plans: Json, configuration: str) -> nn.Module:
    """Return the untrained network that the plans describe, as nnU-Net builds it, without deep supervision."""
    described = plans["configurations"][configuration]["architecture"]
    network: nn.Module = get_network_from_plans(
        described["network_class_name"],
        described["arch_kwargs"],
        described["_kw_requires_import"],
        1,
        CLASSES,
        allow_init=True,
        deep_supervision=False,
    )
    return network


def started(member: Member) -> tuple[nn.Module, str]:
    """Return the network to begin with, and the digest of the bundle whose weights it has, or nothing.

    Raises InputError when the bundle has no such member of the same architecture.
    """
    torch.manual_seed(member.seed)
    network = build(member.plans, member.configuration)
    if member.start is None:
        return network, ""
    bundle = load_bundle(member.start)
    found = [one for one in bundle.members if one.configuration == member.configuration]
    if not found:
        raise InputError(f"{member.start}: has no {member.configuration} to begin with")
    theirs = read_json(found[0].folder / "plans.json")["configurations"][member.configuration].get("architecture")
    if theirs != member.plans["configurations"][member.configuration]["architecture"]:
        raise InputError(f"{member.start}: the architecture of {member.configuration} is another one")
    load_weights(network, read_weights(found[0].weights[0]))
    return network, bundle.digest


def fit(out: Path, member: Member, material: Material) -> Json:
    """Train one member, keep its best snapshot as a model folder in `out`, and say how it went.

    Returns the steps done, the minutes taken and the validation Dice of the snapshot kept. Snapshots are exponential
    means of the weights; the best on the validation cases stays, because the last one need not be the best. State and
    validation curve lie beside `out`; what lies there is gone on with. Raises InputError when it belongs to another
    training, or when no case is prepared, and OSError when one to validate on is not.
    """
    with _quick_arithmetic(member.threads):
        return _Fitting(out, member, material).run()


@contextmanager
def _quick_arithmetic(threads: int) -> Iterator[None]:
    """Compute with so many threads and with subnormal numbers as zeros, which are slow; afterwards as before."""
    threads_before, flushed_before = torch.get_num_threads(), sys.float_info.min / 2 == 0
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)
        torch.set_num_threads(threads_before)


class _Fitting:
    def __init__(self, out: Path, member: Member, material: Material) -> None:
        self._out, self._member, self._schedule = out, member, member.schedule
        network, digest = started(member)
        self._state = Progress.begin(network.to(member.device), member.schedule.learning_rate, member.seed)
        self._identity = _identity(member, material, digest)
        self._file = out.parent / f"{member.configuration}_state.pt"
        self._pool = Pool(material.folder, material.training)
        if self._file.exists():
            self._state.load(self._file, self._identity)
            there = set(self._pool.seeds)
            self._pool.take([seed for seed in self._state.seeds if seed in there] or there)
            LOG.info("%s goes on at step %d", member.configuration, self._state.step)
        self._state.seeds = self._pool.seeds
        if not self._pool.seeds:
            raise InputError(f"{material.folder}: no prepared case")
        validation = Pool(material.folder, ())
        validation.take(material.validation)
        self._validation = validation.cases
        self._lumbar = LumbarSlices.training(material.lumbar) if material.lumbar else None
        self._spent = _stopwatch(self._state.minutes)

    def run(self) -> Json:
        state, saved, said = self._state, self._state.minutes, self._state.minutes
        while (done := self._done()) < 1.0:
            self._step(done)
            state.minutes = self._spent()
            look = int(self._done() * self._schedule.snapshots) > int(done * self._schedule.snapshots)
            if look:
                self._look()
            if look or state.minutes - saved >= self._schedule.save_minutes:
                state.save(self._file, self._identity)
                saved = state.minutes
            if state.minutes - said >= _SAY_MINUTES:
                said = state.minutes
                self._say()
        if not state.looks or state.looks[-1].step != state.step:  # a shorter schedule than the one begun with
            self._look()
            state.save(self._file, self._identity)
        return {
            "steps": state.step,
            "minutes": round(state.minutes, 1),
            "validation_dice": round(state.best, 4),
            "warm_start": self._identity["warm_start"],
        }

    def _done(self) -> float:
        """Return how much of the schedule is over, 0 to 1."""
        return min(1.0, max(self._state.step / self._schedule.steps, self._state.minutes / self._schedule.minutes))

    def _step(self, done: float) -> None:
        state = self._state
        warm = min(1.0, (state.step + 1) / _WARM_STEPS)
        for group in state.optimizer.param_groups:
            group["lr"] = self._schedule.learning_rate * warm * (0.5 * (1.0 + math.cos(math.pi * done)) + 1e-3)
        image, truth = self._batch()
        kind = image.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
            logits = state.network(image)
        loss = segmentation_loss(logits.float(), truth)
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call,unused-ignore]
        nn.utils.clip_grad_norm_(state.network.parameters(), 12.0)
        state.optimizer.step()
        state.step += 1
        share = max(0.02, 1 / state.step)
        state.loss += share * (float(loss.detach()) - state.loss)
        _follow(state.mean, state.network, min(_EMA, (1 + state.step) / (10 + state.step)))

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return a batch: image (batch, 1, ...) float32 and labels (batch, ...) int64."""
        pieces = [self._patch() for _ in range(self._schedule.batch)]
        image, labels = (torch.stack(part) for part in zip(*pieces, strict=True))
        return (image if self._member.flat else image[:, None]), (labels[:, 0] if self._member.flat else labels).long()

    def _patch(self) -> tuple[Tensor, Tensor]:
        """Return a patch with its labels, both (slices, rows, columns), on the device."""
        rng, size = self._state.rng, self._schedule.patch
        case, scale = self._case()
        margin = (round(size[1] * MARGIN), round(size[2] * MARGIN))
        image, labels = (torch.from_numpy(part).to(self._member.device) for part in cut(rng, case, size, margin))
        if not self._member.flat and rng.random() < 0.5:
            image, labels = image.flip(0), labels.flip(0)
        return augment(rng, image, labels, size[1:], scale)

    def _case(self) -> tuple[Case, Scale]:
        rng = self._state.rng
        if self._lumbar is not None and rng.random() < self._lumbar.share:
            return self._lumbar.draw(rng), self._lumbar.scale
        cases = self._pool.cases
        case = cases[int(rng.integers(len(cases)))]
        if not self._member.flat and rng.random() < _SHALLOW_SHARE:
            case = shallow(rng, case)
        return case, AS_DRAWN

    def _look(self) -> None:
        """Measure the mean weights, keep them when they are the best so far, and take what has been prepared since."""
        state, member = self._state, self._member
        bodies, discs = validation_dice(state.mean, member.configuration, self._validation)
        state.minutes = self._spent()
        best = (bodies + discs) / 2 > state.best
        state.looks.append(
            Look(
                step=state.step,
                minutes=state.minutes,
                loss=state.loss,
                dice_bodies=bodies,
                dice_discs=discs,
                cases=len(state.seeds),
                kept=best,
            )
        )
        if best:
            write_member(self._out, member.configuration, state.mean, member.plans, member.dataset)
        write_curve(self._out.parent / f"{member.configuration}_curve.tsv", state.looks)
        LOG.info("%s step %d, %.1f min, loss %.3f, validation Dice bodies %.3f discs %.3f%s",
                 member.configuration, state.step, state.minutes, state.loss, bodies, discs,
                 ", kept" if best else "")  # fmt: skip
        self._pool.refresh()
        state.seeds = self._pool.seeds

    def _say(self) -> None:
        state, done = self._state, self._done()
        rate = state.step / max(state.minutes, 1e-6)
        left = state.minutes * (1.0 - done) / max(done, 1e-6)
        LOG.info("%s step %d, loss %.3f, %.1f steps a minute, %.0f min left",
                 self._member.configuration, state.step, state.loss, rate, left)  # fmt: skip


def _identity(member: Member, material: Material, digest: str) -> Json:
    """Return what must be the same for a training to be gone on with; how long it lasts may change."""
    return {
        "architecture": member.plans["configurations"][member.configuration]["architecture"],
        "patch": list(member.schedule.patch),
        "batch": member.schedule.batch,
        "learning_rate": member.schedule.learning_rate,
        "seed": member.seed,
        "warm_start": digest,
        "lumbar": material.lumbar is not None,
    }


def _stopwatch(before: float) -> Callable[[], float]:
    """Return a function that says how many minutes have passed, `before` included."""
    begun = time.monotonic()
    return lambda: before + (time.monotonic() - begun) / 60


def _follow(mean: nn.Module, network: nn.Module, keep: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(mean.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - keep)
