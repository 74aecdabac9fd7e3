"""On what is trained: what the user says, held against what the machine has."""

import re

import torch

from node.errors import InputError

_DEVICE = re.compile(r"cpu|mps|cuda|cuda:\d{1,3}")


def devices_of(said: str) -> tuple[str, ...]:
    """Return the devices in a text such as "cuda:0,cuda:1"; "auto" is every CUDA device, or the CPU where none is.

    Raises InputError for one that is not there or is there twice.
    """
    cuda = torch.cuda.device_count()
    if said == "auto":
        return tuple(f"cuda:{number}" for number in range(cuda)) or ("cpu",)
    names = tuple(name.strip() for name in said.split(","))
    for name in names:
        if not _DEVICE.fullmatch(name):
            raise InputError(f"{name!r} is no device: cpu, mps, cuda, cuda:N or auto")
        kind, _, number = name.partition(":")
        if kind == "cuda" and int(number or 0) >= cuda:
            raise InputError(f"{name}: there is no such device ({cuda} CUDA devices)")
        if kind == "mps" and not torch.backends.mps.is_available():
            raise InputError("mps: there is no such device")
    if len(set(names)) != len(names):
        raise InputError(f"{said}: a device twice")
    return names
