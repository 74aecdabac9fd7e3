"""Devices as their driver sees them (NVML). Without the driver, or without the package nvidia-ml-py, there are none."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device of the machine, whoever uses it. Memory in bytes."""

    index: int
    name: str
    used: int
    size: int
    #: Part of the last moment in which it computed; None where the driver does not say, as for a MIG slice.
    utilization: float | None


class Devices:
    """The devices of this machine. Called by one thread at a time or by many."""

    def __init__(self, nvml: Any = None) -> None:
        """`nvml`: the module pynvml, or what stands in for it; None finds it."""
        self._nvml = nvml if nvml is not None or find_spec("pynvml") is None else import_module("pynvml")

    def __call__(self) -> tuple[Device, ...]:
        """Return what the driver says now; nothing where it says nothing. A device that is lost is left out."""
        if self._nvml is None:
            return ()
        try:
            self._nvml.nvmlInit()  # counted: costs nothing from the second time on
        except self._nvml.NVMLError:
            return ()
        return tuple(self._found())

    def _found(self) -> Iterator[Device]:
        nvml = self._nvml
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                memory, name = nvml.nvmlDeviceGetMemoryInfo(handle), nvml.nvmlDeviceGetName(handle)
            except nvml.NVMLError:
                continue
            yield Device(
                index=index, name=name, used=memory.used, size=memory.total, utilization=self._utilization(handle)
            )

    def _utilization(self, handle: Any) -> float | None:
        try:
            return float(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
        except self._nvml.NVMLError:
            return None
