"""nnU-Net's own three commands: predict for each configuration, then the ensemble.

They run as a user runs them: processes of their own, default numbers of workers, probabilities through files.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from node.bench.machine import device_used_bytes
from node.bench.processes import peak_of, tree_bytes
from node.bench.subject import Subject
from node.errors import EngineError

_CASE = "case"
_ENDING = ".nii.gz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfficialAnswer:
    """What one pass of the commands gave, and what it took."""

    #: `(slices, rows, columns)` uint8 in the bundle's orientation.
    classes: NDArray[np.uint8]
    #: Command, such as "predict 2d", -> seconds.
    steps_s: dict[str, float]
    #: User and system time of all processes.
    cpu_s: float

    @property
    def seconds(self) -> float:
        """All commands, one after the other."""
        return sum(self.steps_s.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialMemory:
    """The largest memory of the commands' processes together."""

    host_bytes: int
    device_bytes: int | None


class OfficialCommands:
    """The commands over one volume."""

    def __init__(self, subject: Subject) -> None:
        """Write the volume as NIfTI and the bundle as nnU-Net's folders."""
        from node.segment.models.exporting import export_model  # noqa: PLC0415 - it imports torch

        self._subject = subject
        self._folder = subject.scratch / "official"
        self._input = self._folder / "in"
        self._input.mkdir(parents=True)
        voxels, spacing_mm = subject.turned()
        _write_nifti(self._input / f"{_CASE}_0000{_ENDING}", voxels, spacing_mm)
        self._models = export_model(subject.bundle, self._folder / "models")
        #: The command that runs now, 0 for none.
        self._running = 0

    def run(self) -> OfficialAnswer:
        """Run the commands. Raises EngineError when one fails."""
        steps_s: dict[str, float] = {}
        cpu_s = 0.0
        outputs = [self._folder / f"out_{member.configuration}" for member in self._subject.members]
        last = self._folder / "out_ensemble" if len(outputs) > 1 else outputs[0]
        for out in {*outputs, last}:
            shutil.rmtree(out, ignore_errors=True)
        for name, command in self._commands(outputs, last):
            begun = time.perf_counter()
            cpu_s += self._run(command)
            steps_s[name] = time.perf_counter() - begun
        return OfficialAnswer(classes=_read_nifti(last / f"{_CASE}{_ENDING}"), steps_s=steps_s, cpu_s=cpu_s)

    def measure_memory(self) -> tuple[OfficialAnswer, OfficialMemory]:
        """Run the commands once more than for the times, while their memory is watched."""
        before = self._device_bytes()
        with (
            peak_of(lambda: tree_bytes(self._running) if self._running else 0) as host,
            peak_of(self._device_bytes, every_s=0.2) as device,
        ):
            answer = self.run()
        used = device.value - before if before else None
        return answer, OfficialMemory(host_bytes=host.value, device_bytes=used)

    def _device_bytes(self) -> int:
        """Return what all processes hold on the device; 0 on the CPU, and where nothing tells."""
        return (device_used_bytes(self._subject.index) or 0) if self._subject.kind == "cuda" else 0

    def _commands(self, outputs: Sequence[Path], last: Path) -> list[tuple[str, list[str]]]:
        commands = [
            (f"predict {member.configuration}", self._predict(member.folds, model, out))
            for member, model, out in zip(self._subject.members, self._models, outputs, strict=True)
        ]
        if len(outputs) > 1:
            ensemble = [_program("nnUNetv2_ensemble"), "-i", *map(str, outputs), "-o", str(last)]
            commands.append(("ensemble", ensemble))
        return commands

    def _predict(self, folds: Sequence[str], model: Path, out: Path) -> list[str]:
        return [
            _program("nnUNetv2_predict_from_modelfolder"),
            *("-i", str(self._input), "-o", str(out), "-m", str(model), "-f", *folds),
            *("-device", self._subject.kind, "--save_probabilities"),
            *([] if self._subject.mirroring else ["--disable_tta"]),
        ]

    def _run(self, command: Sequence[str]) -> float:
        """Run a command to its end and return the CPU seconds of it and its children. Raises EngineError."""
        log = self._folder / "commands.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=self._environment())  # noqa: S603
            self._running = process.pid
            _, status, usage = os.wait4(process.pid, 0)
        self._running = 0
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said = log.read_text(errors="replace").strip().splitlines()
            raise EngineError(f"{Path(command[0]).name} ended with {process.returncode}: {said[-1] if said else ''}")
        return usage.ru_utime + usage.ru_stime

    def _environment(self) -> dict[str, str]:
        """The commands know no device number."""
        chosen = {"CUDA_VISIBLE_DEVICES": str(self._subject.index)} if self._subject.index else {}
        return {**os.environ, **chosen, "PYTHONWARNINGS": "ignore"}


def _program(name: str) -> str:
    """Return a command that was installed beside this interpreter. Raises EngineError when it is not there."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise EngineError(f"{name} is not installed beside this program")
    return found


def _write_nifti(path: Path, voxels: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Write an image that SimpleITK, and so nnU-Net, reads as just these voxels `(slices, rows, columns)`."""
    stored = voxels if voxels.dtype in {np.int16, np.uint16} else voxels.astype(np.float32)
    affine = np.diag([*reversed(spacing_mm), 1.0])
    nib.save(nib.Nifti1Image(stored.T, affine), path)  # type: ignore[no-untyped-call]


def _read_nifti(path: Path) -> NDArray[np.uint8]:
    image: Any = nib.load(path)
    return np.ascontiguousarray(np.asarray(image.dataobj).T.astype(np.uint8))
