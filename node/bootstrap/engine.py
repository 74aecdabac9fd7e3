"""The model and what computes it."""

import os
from pathlib import Path

from node import log
from node.errors import BundleTampered, SettingsError
from node.segment.bundle import STARTER, Bundle, load_bundle
from node.segment.process.door import opened
from node.segment.process.pool import EnginePool
from node.segment.process.remote import RemoteEngine
from node.segment.process.worker import Worker
from node.settings import STARTER_BUNDLE, ModelSettings, Settings


def open_bundle(model: ModelSettings) -> Bundle:
    """Return the verified bundle that the settings name. Raises BundleError, or BundleTampered for another digest."""
    bundle = load_bundle(STARTER if model.bundle == STARTER_BUNDLE else Path(model.bundle))
    if model.digest and bundle.digest != model.digest:
        raise BundleTampered(
            f"model.digest: the settings ask for {model.digest}, the bundle {bundle.name} has {bundle.digest}"
        )
    return bundle


def open_engine(model: ModelSettings) -> EnginePool | RemoteEngine:
    """Return the engine that the settings name, not loaded: a worker's, or one of our own whose bundle is verified.

    Raises BundleError.
    """
    if model.worker is not None:
        return RemoteEngine(model.worker, digest=model.digest)
    return EnginePool(open_bundle(model), model)


def build_worker(settings: Settings) -> Worker:
    """Return the wired worker of `model.worker`, its bundle verified and its socket open.

    Raises SettingsError where there is no such setting, BundleError, NodeAlreadyRunning, SystemFailed.
    """
    os.umask(0o077)
    if settings.model.worker is None:
        raise SettingsError("model.worker: names no socket, so the node holds the networks itself")
    log.configure(level=settings.log.level, key=None)
    pool = EnginePool(open_bundle(settings.model), settings.model)
    return Worker(pool, opened(settings.model.worker), longest_s=settings.model.longest_s)
