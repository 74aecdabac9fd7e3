"""What an answer costs in arithmetic, and what the device could do in a second."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
from torch.utils.flop_counter import FlopCounterMode

from node.errors import SettingsError
from node.segment.bundle import Member
from node.segment.nnunet.network import Plan, build_network, read_plan
from node.segment.nnunet.windows import Window

_MATRIX = 8192
_PRODUCTS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What the networks run on."""

    #: "cpu" or "cuda".
    kind: str
    index: int
    #: Name of the GPU, None on the CPU.
    gpu: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The forward passes of one member for one image."""

    configuration: str
    parameters: int
    flops_a_forward: int
    tiles: int
    mirrors: int
    folds: int

    @property
    def flops(self) -> int:
        """Floating point operations of all passes; a multiplication and an addition count as two."""
        return self.flops_a_forward * self.tiles * self.mirrors * self.folds


def describe_device(device: str) -> Device:
    """Return what "auto", "cpu", "cuda" or "cuda:N" means here. Raises SettingsError when it is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not count):
        return Device(kind="cpu", index=0, gpu=None)
    number = {"auto": "0", "cuda": "0"}.get(device, device.removeprefix("cuda:"))
    if not number.isdecimal() or int(number) >= count:
        raise SettingsError(f"--device: {device} is not at hand, there are {count} CUDA devices")
    return Device(kind="cuda", index=int(number), gpu=torch.cuda.get_device_name(int(number)))


def member_work(
    member: Member, shape: Sequence[int], spacing_mm: Sequence[float], *, folds: int, mirroring: bool
) -> Work:
    """Return what `folds` folds of a member compute for an image of `shape` (slices, rows, columns), after the crop."""
    plan = read_plan(member.folder, member.configuration)
    network = build_network(plan).to("meta")
    tile = torch.empty((1, len(plan.dataset["channel_names"]), *plan.patch_size), device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(tile)
    return Work(
        configuration=member.configuration,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops_a_forward=int(counter.get_total_flops()),
        tiles=count_tiles(plan, shape, spacing_mm),
        mirrors=2 ** len(member.mirror_axes) if mirroring else 1,
        folds=folds,
    )


def count_tiles(plan: Plan, shape: Sequence[int], spacing_mm: Sequence[float]) -> int:
    """Return how many tiles nnU-Net cuts from an image of `shape`, after the crop and before the resampling."""
    axes = [int(axis) for axis in plan.plans.transpose_forward]
    here = [float(spacing_mm[axis]) for axis in axes]
    target = [float(value) for value in plan.configuration.spacing]
    target = here[: len(here) - len(target)] + target  # a 2d network leaves the distance of the slices as it is
    resampled = [int(size) for size in compute_new_shape([shape[axis] for axis in axes], here, target)]
    return Window(patch=plan.patch_size, heads=plan.heads, mirror_axes=()).tiles(resampled)


def half_precision_peak(index: int) -> float:
    """Return what a CUDA device does in float16 matrix products, in FLOP a second: the best of some large ones."""
    device = torch.device("cuda", index)
    first = torch.randn((_MATRIX, _MATRIX), device=device, dtype=torch.float16)
    second = torch.randn((_MATRIX, _MATRIX), device=device, dtype=torch.float16)
    best_s = math.inf
    for _ in range(_PRODUCTS):
        torch.cuda.synchronize(device)
        begun = time.perf_counter()
        torch.mm(first, second)
        torch.cuda.synchronize(device)
        best_s = min(best_s, time.perf_counter() - begun)
    return 2.0 * _MATRIX**3 / best_s
