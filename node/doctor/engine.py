"""The model and the device: the bundle's digests, and the engine tried on the phantom that ships with the node."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from node.doctor.finding import Finding, fault, fine, warning
from node.domain.findings import Algorithm
from node.errors import BundleError, BundleTampered, EngineError, NodeError, SelfTestFailed, SettingsError
from node.segment.bundle import Bundle
from node.segment.devices import Device
from node.settings import ModelSettings

_MODEL, _ENGINE = "model", "engine"


class Engine(Protocol):
    """What is loaded to be tried."""

    def loaded(self) -> object:
        """Load the networks, and hold the fast ones against the official functions. Raises NodeError, OSError."""

    @property
    def algorithm(self) -> Algorithm:
        """What answers there."""


OpenEngine = Callable[[ModelSettings], AbstractContextManager[Engine]]


def look_at_bundle(model: ModelSettings, open_bundle: Callable[[ModelSettings], Bundle]) -> Iterator[Finding]:
    """Yield whether every file of the bundle has its digest, and the bundle the one of the settings."""
    try:
        bundle = open_bundle(model)
    except BundleTampered as error:
        yield fault(_MODEL, str(error), "import the model again from its source; model.digest names the one to trust")
        return
    except BundleError as error:
        yield fault(_MODEL, str(error), "cspine-node model list shows what is imported; set model.bundle to one")
        return
    yield fine(_MODEL, f"{bundle.name} {bundle.version} is whole, its digest is {bundle.digest[:16]}...")
    if not model.digest and model.bundle != "starter":
        yield warning(
            _MODEL,
            "any sound bundle of that name would be taken",
            f'set model.digest = "{bundle.digest}" to take this one only',
        )


def look_at_engine(model: ModelSettings, open_engine: OpenEngine, devices: tuple[Device, ...]) -> Iterator[Finding]:
    """Load the engine and yield whether it passed its self-test, and on what it computes."""
    try:
        with open_engine(model) as engine:
            engine.loaded()
            told = engine.algorithm.engine
    except (NodeError, OSError) as error:
        yield fault(_ENGINE, _why(error), _advice(error))
        return
    yield fine(_ENGINE, f"passed its self-test ({model.mode} mode): {told}")
    if devices and "cuda" not in told and model.device != "cpu":
        yield warning(
            _ENGINE,
            f"computes on the CPU, and there is a {devices[0].name}",
            "nvidia-smi must work for the user of the node, and torch must be built for CUDA",
        )


def _why(error: NodeError | OSError) -> str:
    return f"{error.code}: {error}" if isinstance(error, NodeError) else f"does not answer: {error.strerror}"


def _advice(error: NodeError | OSError) -> str:
    if isinstance(error, SelfTestFailed):
        return 'set model.mode = "reference", which is always exact, and report this as a fault'
    if isinstance(error, SettingsError):
        return 'set model.device = "auto", or make the device visible (nvidia-smi; for a container --gpus all)'
    if isinstance(error, BundleError):
        return "import the model again: cspine-node model import"
    if isinstance(error, EngineError):
        return "the process of the engine ended: memory is the usual reason (free -h, nvidia-smi, dmesg)"
    return "start the worker: systemctl status cspine-node-worker; it and the node need the same model.worker"
