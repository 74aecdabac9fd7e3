"""R1: a warm engine against nnU-Net's three commands, on the same volume, folds and mirrors."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.bench.compare import dice_by_kind, differing_ppm
from node.bench.engine import Answer, warm_engine
from node.bench.figures import alternating, median, summaries, summary
from node.bench.official import OfficialAnswer, OfficialCommands, OfficialMemory
from node.bench.subject import Subject
from node.domain.geometry import turn

Classes = NDArray[np.uint8]


def measure(subject: Subject) -> dict[str, Any]:
    """Return R1, each side's times and memory, and how far the answers differ. Raises EngineError."""
    official = OfficialCommands(subject)
    subject.step("R1: nnU-Net's commands, untimed: memory, and the files they read")
    truth, memory = official.measure_memory()
    subject.step("R1: starting the engine")
    with warm_engine(subject.bundle, subject.model("fast"), subject.volume) as engine:
        pairs = []
        for pair in alternating(official.run, lambda: engine.segment(subject.volume), subject.repetitions):
            pairs.append(pair)
            subject.step(
                f"R1: {len(pairs)} of {subject.repetitions}: commands {pair[0].seconds:.2f} s, "
                f"engine {pair[1].seconds:.2f} s"
            )
        start_s, peak_bytes = engine.start_s, engine.peak_bytes
    subject.step("R1: the engine in mode reference, once")
    with warm_engine(subject.bundle, subject.model("reference"), subject.volume) as reference:
        faithful = reference.first
    answers, commands = [fast for _, fast in pairs], [done for done, _ in pairs]
    ratio = median([fast.seconds for fast in answers]) / median([done.seconds for done in commands])
    return {
        "ratio": round(ratio, 5),
        "official": _official_document(commands, memory),
        "engine": _engine_document(answers, start_s, peak_bytes),
        "agreement": {
            "fast": _agreement(subject, [(done.classes, fast) for done, fast in pairs]),
            "reference": _agreement(subject, [(truth.classes, faithful)]),
        },
    }


def _official_document(runs: Sequence[OfficialAnswer], memory: OfficialMemory) -> dict[str, Any]:
    return {
        "seconds": summary([run.seconds for run in runs]),
        "steps_s": summaries([run.steps_s for run in runs]),
        "cpu_s": summary([run.cpu_s for run in runs]),
        "peak_host_bytes": memory.host_bytes,
        "peak_device_bytes": memory.device_bytes,
    }


def _engine_document(answers: Sequence[Answer], start_s: float, peak_bytes: int) -> dict[str, Any]:
    runs = [answer.segmentation.run for answer in answers]
    besides = [answer.non_network_cpu_s for answer in answers]
    counted = [value for value in besides if value is not None]
    last = asdict(runs[-1])
    return {
        "seconds": summary([answer.seconds for answer in answers]),
        "stages_s": summaries([run.stages_s for run in runs]),
        "cpu_s": summary([answer.cpu_s for answer in answers]),
        "non_network_cpu_s": summary(counted) if counted else None,
        "start_s": round(start_s, 2),
        "peak_host_bytes": peak_bytes,
        "peak_device_bytes": max((run.peak_device_bytes or 0 for run in runs), default=0) or None,
        "run": {name: last[name] for name in last if name not in {"stages_s", "cpu_s", "peak_host_bytes"}},
        "described": answers[-1].segmentation.algorithm.engine,
    }


def _agreement(subject: Subject, pairs: Sequence[tuple[Classes, Answer]]) -> dict[str, Any]:
    """Return the largest difference over the repetitions, and the lowest Dice of each label."""
    labels = subject.bundle.labels
    differences, overlaps = [], []
    for official, answer in pairs:
        classes, _ = turn(answer.segmentation.classes, subject.volume.grid, subject.bundle.orientation)
        found = classes.astype(np.uint8, copy=False)
        differences.append(differing_ppm(official, found))
        overlaps.append(dice_by_kind(official, found, labels))
    lowest = {
        kind.value: min((value for overlap in overlaps if (value := overlap[kind]) is not None), default=None)
        for kind in labels.values()
    }
    return {
        "differing_ppm": round(max(differences), 3),
        "each_ppm": [round(value, 3) for value in differences],
        "voxels": pairs[0][0].size,
        "dice": {kind: None if value is None else round(value, 6) for kind, value in lowest.items()},
    }
