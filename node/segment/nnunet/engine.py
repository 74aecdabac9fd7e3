"""The engine: the networks of a bundle in memory, in one of two modes.

`reference` runs nnU-Net's own functions; `fast` does the same arithmetic in less time, and serves only after it has
given the voxels of `reference` on a phantom.
"""

import gc
import importlib.metadata
import resource
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from node import __version__
from node.domain.findings import Algorithm, Run, Segmentation
from node.domain.geometry import Grid, Volume, turn
from node.domain.product import MODEL_NAME
from node.errors import EngineError, ImageRefused
from node.segment.bundle import Bundle
from node.segment.nnunet import selftest
from node.segment.nnunet.answer import Image
from node.segment.nnunet.fast import Fast
from node.segment.nnunet.profile import Profile, backends, check_fast, check_labels, decide, load_fast, load_reference
from node.segment.nnunet.reference import Reference
from node.segment.nnunet.selftest import SelfTest
from node.segment.nnunet.stages import Stages
from node.settings import ModelSettings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A volume made ready for the networks; `answer` takes it once."""

    work: Any
    stages: Stages
    #: What it was made from, should another engine have to answer.
    voxels: Any
    grid: Grid


class NnunetEngine:
    """The networks of a bundle, loaded once. `prepare` and `answer` may run in two threads, each in one at a time."""

    def __init__(self, bundle: Bundle, settings: ModelSettings, device: str = "auto") -> None:
        """Load every network; fast mode then tests itself. `device`: "auto", "cpu", "cuda" or "cuda:N".

        Raises BundleError, SettingsError, ModelRefused, SelfTestFailed.
        """
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._bundle = bundle
        self._settings = settings
        self._spare: NnunetEngine | None = None
        self._profile, self._networks, self._self_test = _loaded(bundle, settings, device)
        self._algorithm = Algorithm(
            name=MODEL_NAME,
            version=__version__,
            bundle_name=bundle.name,
            bundle_version=bundle.version,
            bundle_digest=bundle.digest,
            members=self._profile.names,
            engine=_described(self._profile, settings.mode, self._networks.precision),
            intended_use=bundle.intended_use,
        )

    @property
    def algorithm(self) -> Algorithm:
        """What answers here."""
        return self._algorithm

    @property
    def device(self) -> str:
        """Where it computes, such as "cpu" or "cuda:0"."""
        return str(self._profile.device)

    @property
    def devices(self) -> int:
        """How many devices of the chosen kind this machine has."""
        return torch.cuda.device_count() if self._on_cuda else 1

    @property
    def self_test(self) -> SelfTest | None:
        """How far fast mode lay from the official functions at start; None in reference mode."""
        return self._self_test

    def segment(self, volume: Volume) -> Segmentation:
        """Return the ensemble's classes on the grid of `volume`. Raises EngineError."""
        return self.answer(self.prepare(volume.voxels, volume.grid))

    def prepare(self, voxels: Any, grid: Grid) -> Prepared:
        """Make voxels `(slices, rows, columns)` on `grid` ready for the networks. Raises EngineError."""
        turned, turned_grid = turn(voxels, grid, self._bundle.orientation)
        image = Image(voxels=turned.astype(np.float32), spacing_mm=turned_grid.spacing_mm)
        if not np.isfinite(image.voxels).all() or not image.voxels.any():
            raise ImageRefused("the volume holds no signal, or values that are no numbers")
        stages = Stages(self._settle)
        with self._beside():
            work = _guarded(lambda: self._networks.prepare(image, stages))
        return Prepared(work=work, stages=stages, voxels=voxels, grid=grid)

    def answer(self, prepared: Prepared) -> Segmentation:
        """Run the networks. Raises EngineError."""
        if self._on_cuda:
            torch.cuda.reset_peak_memory_stats(self._profile.device)
        try:
            answer = _guarded(lambda: self._networks.answer(prepared.work, prepared.stages))
        except torch.OutOfMemoryError as error:
            if not (self._on_cuda and self._settings.cpu_fallback):
                raise EngineError("the device has too little memory for one tile") from error
            return self._on_the_cpu(prepared)
        with prepared.stages.stage("combine"):
            volumes = answer.layers.turned(self._bundle.orientation, prepared.grid.orientation()).unpacked()
        heads = len(volumes) - len(answer.opinions)
        return Segmentation(
            classes=volumes[0],
            meanings=self._bundle.labels,
            probabilities={kind: volumes[label] for label, kind in self._bundle.labels.items()},
            opinions=dict(zip(answer.opinions, volumes[heads:], strict=True)),
            algorithm=self._algorithm,
            run=self._run(prepared.stages, answer.fallbacks),
        )

    def _on_the_cpu(self, prepared: Prepared) -> Segmentation:
        """Answer with a second engine, kept for the next time; its settings are those of `[model.cpu]`."""
        torch.cuda.empty_cache()
        if self._spare is None:
            self._spare = NnunetEngine(self._bundle, self._settings, "cpu")
        found = self._spare.answer(self._spare.prepare(prepared.voxels, prepared.grid))
        note = f"out of memory on {self._profile.device}: ran on the CPU"
        return replace(found, run=replace(found.run, fallbacks=(note, *found.run.fallbacks)))

    def _run(self, stages: Stages, fallbacks: Sequence[str]) -> Run:
        device = self._profile.device
        name = f"{device} {torch.cuda.get_device_name(device)}" if self._on_cuda else "cpu"
        return Run(
            mode=self._settings.mode,
            device=name,
            precision=self._networks.precision,
            members=self._algorithm.members,
            stages_s=dict(stages.seconds),
            cpu_s=dict(stages.cpu_seconds),
            peak_host_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            peak_device_bytes=torch.cuda.max_memory_allocated(device) if self._on_cuda else None,
            fallbacks=tuple(fallbacks),
            self_test_ppm=None if self._self_test is None else self._self_test.ppm,
        )

    @property
    def _on_cuda(self) -> bool:
        return self._profile.device.type == "cuda"

    def _settle(self) -> None:
        if self._on_cuda:
            torch.cuda.current_stream(self._profile.device).synchronize()

    def _beside(self) -> AbstractContextManager[Any]:
        """Let what is prepared run beside the networks of the case before."""
        if not self._on_cuda:
            return nullcontext()
        side: AbstractContextManager[Any] = torch.cuda.stream(torch.cuda.Stream(self._profile.device))  # type: ignore[no-untyped-call]
        return side


def _loaded(bundle: Bundle, settings: ModelSettings, device: str) -> tuple[Profile, Reference | Fast, SelfTest | None]:
    """Load the networks in their mode; of several backends take the first that passes the self-test."""
    profile = decide(bundle, settings, device)
    check_labels(profile, bundle.labels)
    if settings.mode == "reference":
        return profile, load_reference(profile), None
    check_fast(profile)
    reference = load_reference(profile)
    official = selftest.official_answer(reference, bundle)
    del reference
    gc.collect()
    tried = []
    for backend in backends(settings) if profile.device.type == "cpu" else ["torch"]:
        candidate = profile.with_backend(backend)
        fast = load_fast(candidate)
        test = selftest.hold_against(official, fast, bundle)
        if test.passes(settings.tolerance_ppm):
            return candidate, fast, test
        tried.append(selftest.failed(test, backend, settings.tolerance_ppm))
    raise tried[-1]


def _described(profile: Profile, mode: str, precision: str) -> str:
    """Return everything about the engine that may change a voxel."""
    parts = [f"nnunetv2 {importlib.metadata.version('nnunetv2')}", f"torch {torch.__version__}"]
    if profile.backend != "torch":
        parts.append(f"{profile.backend} {importlib.metadata.version('openvino')}")
    parts += [mode, profile.device.type, precision, f"{torch.get_num_threads()} threads"]
    return ", ".join([*parts, f"mirroring {'on' if profile.mirroring else 'off'}"])


def _guarded(work: Callable[[], _T]) -> _T:
    """Run `work`; what nnU-Net, torch or OpenVINO raise becomes an EngineError, but for a device's lack of memory."""
    try:
        return work()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, MemoryError, ValueError, IndexError) as error:
        raise EngineError(f"the network failed: {type(error).__name__}: {error}") from error
