"""Devices by NVML, which a stand-in plays here; on a machine without the driver there are none."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

from oracle import ALGORITHM

from node import __version__
from node.segment.devices import Device, Devices
from node.segment.process.channel import Channel
from node.segment.process.door import opened
from node.segment.process.messages import Alive, Serving
from node.segment.process.remote import RemoteEngine

PATIENCE_S = 60.0


class NVMLError(Exception):
    """As pynvml has it."""


class Driver:
    """NVML as far as it is used. `lost`: indices of devices that do not answer any more."""

    NVMLError = NVMLError

    def __init__(self, names=("H200",), lost=(), *, there=True, mig=False):
        self.names, self.lost, self.there, self.mig = names, lost, there, mig

    def nvmlInit(self):
        if not self.there:
            raise NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        if index in self.lost:
            raise NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(used=(handle + 1) << 30, total=141 << 30, free=0)

    def nvmlDeviceGetName(self, handle):
        return self.names[handle]

    def nvmlDeviceGetUtilizationRates(self, handle):
        if self.mig:
            raise NVMLError("Not Supported")
        return SimpleNamespace(gpu=25, memory=10)


def test_each_device_has_its_memory_and_how_busy_it_is():
    assert Devices(Driver(("H200", "L4")))() == (
        Device(index=0, name="H200", used=1 << 30, size=141 << 30, utilization=0.25),
        Device(index=1, name="L4", used=2 << 30, size=141 << 30, utilization=0.25),
    )


def test_without_a_driver_there_is_no_device():
    assert Devices(Driver(there=False))() == ()


def test_a_lost_device_does_not_hide_the_others():
    assert [device.index for device in Devices(Driver(("H200", "L4"), lost=(0,)))()] == [1]


def test_a_slice_of_a_device_does_not_say_how_busy_it_is():
    assert Devices(Driver(mig=True))()[0].utilization is None


def test_this_machine_can_be_asked_whatever_it_has():
    assert all(device.size > 0 for device in Devices()())


def until(happened: Callable[[], bool]) -> None:
    """Poll until something has happened."""
    deadline, poll = time.monotonic() + PATIENCE_S, threading.Event()
    while not happened():
        assert time.monotonic() < deadline
        poll.wait(0.01)


def test_a_node_without_devices_hears_of_those_of_its_worker_and_forgets_them_with_it(tmp_path):
    device = Device(index=0, name="H200", used=1 << 30, size=141 << 30, utilization=0.5)
    with (
        contextlib.closing(opened(tmp_path / "worker.sock")) as door,
        RemoteEngine(tmp_path / "worker.sock", wait_s=0.0, pause_s=PATIENCE_S) as engine,
    ):
        with contextlib.suppress(OSError):
            engine.loaded()
        assert engine.devices == ()
        connection, _ = door.accept()
        channel = Channel(connection)
        algorithm = replace(ALGORITHM, version=__version__)
        channel.send(Serving(version=__version__, algorithm=algorithm, devices=1))
        channel.send(Alive(devices=(device,)))
        until(lambda: engine.devices == (device,))
        channel.close()
        until(lambda: engine.devices == ())
