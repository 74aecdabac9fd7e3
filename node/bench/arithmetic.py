"""R3: the networks' seconds against what the device could do at best. On a CPU: what it did."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from node.bench.engine import elsewhere, warm_engine
from node.bench.figures import summary
from node.bench.subject import Subject

_GIGA = 1e9


def network_seconds(subject: Subject) -> list[float]:
    """Return the seconds of the networks alone in each of the warm engine's answers."""
    subject.step("R3: starting the engine")
    with warm_engine(subject.bundle, subject.model("fast"), subject.volume) as engine:
        subject.step(f"R3: {subject.repetitions} answers")
        answers = [engine.segment(subject.volume) for _ in range(subject.repetitions)]
    return [answer.segmentation.run.stages_s["network"] for answer in answers]


def measure(subject: Subject, seconds: Sequence[float]) -> dict[str, Any]:
    """Return R3 for networks that took `seconds`, one value a repetition."""
    from node.segment.nnunet.roofline import half_precision_peak, member_work  # noqa: PLC0415 - it imports torch

    subject.step("R3: counting operations")
    voxels, spacing_mm = subject.turned()
    shape = shape_after_crop(voxels)
    members = [
        member_work(member, shape, spacing_mm, folds=len(member.folds), mirroring=subject.mirroring)
        for member in subject.members
    ]
    flops = sum(work.flops for work in members)
    network = summary(seconds)
    document: dict[str, Any] = {
        "members": [{**asdict(work), "flops": work.flops} for work in members],
        "flops": flops,
        "network_s": network,
        "achieved_gflop_per_s": round(flops / network["median"] / _GIGA, 1),
        "peak_gflop_per_s": None,
        "roofline_s": None,
        "ratio": None,
    }
    if subject.kind == "cpu":
        return document
    return {**document, **_against(flops, network, elsewhere(half_precision_peak, subject.index))}


def shape_after_crop(voxels: np.ndarray) -> tuple[int, ...]:
    """Return the size of the box around all voxels that are not 0, to which nnU-Net crops."""
    axes = range(voxels.ndim)
    present = [np.flatnonzero(voxels.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(int(found[-1] - found[0] + 1) if found.size else 0 for found in present)


def _against(flops: int, network: Mapping[str, Any], peak: float) -> dict[str, Any]:
    return {
        "peak_gflop_per_s": round(peak / _GIGA, 1),
        "roofline_s": round(flops / peak, 6),
        "ratio": round(network["median"] / (flops / peak), 3),
    }
