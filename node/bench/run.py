"""The course of the measurements."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.bench import against_official, arithmetic, end_to_end, long_run, results
from node.bench.engine import elsewhere
from node.bench.fullsize import write_full_size_bundle
from node.bench.machine import describe_machine
from node.bench.subject import Subject, read_volume
from node.bootstrap.engine import open_bundle
from node.errors import SettingsError
from node.segment.bundle import Bundle
from node.settings import STARTER_BUNDLE, CpuSettings, ModelSettings

#: Untrained networks decide by a hair everywhere: how far they differ is told, and stops nothing.
_ANY_PPM = 1e6

PARTS = ("r1", "r2", "r3", "results", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure, and how often."""

    #: As `model.bundle` in the settings.
    bundle: str = STARTER_BUNDLE
    #: Instead of a bundle: networks of the planner's size, not trained.
    full_size: bool = False
    #: Folds of each configuration, the first ones; None: as the node's defaults for the device.
    folds: int | None = None
    mirroring: bool | None = None
    repetitions: int = 10
    cases: int = 200
    parts: frozenset[str] = frozenset(PARTS)
    device: str = "auto"
    #: A DICOM folder or a NIfTI file; None: a phantom.
    source: Path | None = None


def parse_parts(text: str) -> frozenset[str]:
    """Return the parts that a comma-separated list names. Raises SettingsError.

    >>> sorted(parse_parts("r2, r1"))
    ['r1', 'r2']
    """
    parts = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    if not parts or parts - frozenset(PARTS):
        raise SettingsError(f"--only: {text!r} names none of, or more than, {', '.join(PARTS)}")
    return parts


def run_bench(options: Options, step: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and return the document that is printed and kept. Raises the NodeError of what failed."""
    with _subject(options, step) as (subject, gpu):
        document: dict[str, Any] = {"machine": describe_machine(gpu), "subject": subject.document()}
        if "r1" in options.parts:
            document["r1"] = against_official.measure(subject)
        if "r2" in options.parts:
            document["r2"] = end_to_end.measure(subject)
        if "r3" in options.parts:
            known = document.get("r1", {}).get("engine", {}).get("stages_s", {}).get("network", {}).get("values")
            document["r3"] = arithmetic.measure(subject, known or arithmetic.network_seconds(subject))
        if "results" in options.parts:
            document["results"] = results.measure(subject)
        if "memory" in options.parts:
            document["memory"] = long_run.measure(subject, options.cases)
    return document


@contextmanager
def _subject(options: Options, step: Callable[[str], None]) -> Iterator[tuple[Subject, str | None]]:
    """Prepare bundle and volume in a scratch folder; also the name of the GPU, None without."""
    from node.segment.nnunet.roofline import describe_device  # noqa: PLC0415 - it imports torch

    with tempfile.TemporaryDirectory(prefix="cspine-bench-") as scratch_name:
        scratch = Path(scratch_name)
        step("preparing")
        device = elsewhere(describe_device, options.device)
        model = ModelSettings()
        usual: ModelSettings | CpuSettings = model.cpu if device.kind == "cpu" else model
        folds = usual.folds if options.folds is None else options.folds
        bundle = _bundle(options, folds, scratch)
        volume, source = read_volume(options.source, scratch / "input")
        subject = Subject(
            bundle=bundle,
            volume=volume,
            source=source,
            kind=device.kind,
            index=device.index,
            folds=folds or max(len(member.folds) for member in bundle.members),
            mirroring=usual.mirroring if options.mirroring is None else options.mirroring,
            repetitions=options.repetitions,
            tolerance_ppm=_ANY_PPM if options.full_size else model.tolerance_ppm,
            scratch=scratch,
            step=step,
        )
        yield subject, device.gpu


def _bundle(options: Options, folds: int, scratch: Path) -> Bundle:
    if options.full_size:
        return elsewhere(write_full_size_bundle, scratch / "full_size", folds or 1)
    return open_bundle(ModelSettings(bundle=options.bundle))
