"""The machine that is measured, in words and numbers."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

_PACKAGES = ("cspine-node", "nnunetv2", "torch", "openvino", "numpy", "scipy")
_MIB = 1024 * 1024
_PROBE_S = 10.0


def describe_machine(gpu: str | None) -> dict[str, Any]:
    """Return processor, memory, GPU and versions. `gpu`: its name, None without."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpu": gpu,
        "load_1_min_at_start": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
    }


def device_used_bytes(index: int) -> int | None:
    """Return the memory in use on a CUDA device, by all processes, as nvidia-smi tells it; None where it is absent."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", str(index)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PROBE_S)  # noqa: S603
        return int(done.stdout.split()[0]) * _MIB
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _field(path: Path, name: str) -> str:
    """Return the first value of a "name : value" file, "" without."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
