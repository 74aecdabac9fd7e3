"""The CUDA devices of this machine that a batch may use, found without loading CUDA."""

import os
import shutil
import subprocess

_PATIENCE_S = 30.0


def cuda_devices() -> tuple[str, ...]:
    """Return the devices as CUDA_VISIBLE_DEVICES names them: those it lists, or else all that the driver has.

    Empty where there is none, or no driver.
    """
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return tuple(name for part in listed.split(",") if (name := part.strip()) and name != "-1")
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        found = subprocess.run(  # noqa: S603 - NVIDIA's own program
            [program, "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # a driver without a device
        return ()
    return tuple(line.strip() for line in found.stdout.splitlines() if line.strip())
