"""The composition root: settings in, wired objects out. Here alone are the adapters named."""

import os
import time
from pathlib import Path

from node import log
from node.caseflow import Caseflow
from node.deliver.cstore import CStoreDestination
from node.deliver.scu import Peer
from node.durable import make_folder_durably
from node.errors import BundleTampered, SettingsError
from node.journal.journal import Journal
from node.journal.store import Store
from node.outbox import Outbox
from node.receive.listener import Listener
from node.receive.spool import Spool, sweep
from node.receive.traffic import Traffic
from node.segment.bundle import STARTER, Bundle, load_bundle
from node.segment.process.pool import EnginePool
from node.service import Bell, Service
from node.settings import STARTER_BUNDLE, DestinationSettings, ModelSettings, NodeSettings, Settings

_JOURNAL = "journal.sqlite"
_LOG_KEY = "log.key"
_LEFTOVER_AGE_S = 24 * 3600.0


def open_bundle(model: ModelSettings) -> Bundle:
    """Return the verified bundle that the settings name. Raises BundleError, or BundleTampered for another digest."""
    bundle = load_bundle(STARTER if model.bundle == STARTER_BUNDLE else Path(model.bundle))
    if model.digest and bundle.digest != model.digest:
        raise BundleTampered(
            f"model.digest: the settings ask for {model.digest}, the bundle {bundle.name} has {bundle.digest}"
        )
    return bundle


def open_engine(model: ModelSettings) -> EnginePool:
    """Return the engine of the bundle that the settings name, verified but not loaded. Raises BundleError."""
    return EnginePool(open_bundle(model), model)


def build_service(settings: Settings) -> tuple[Service, Journal]:
    """Return the wired node and its open journal, after taking back what a dead process held."""
    state_dir = make_state_dir(settings.node)
    log.configure(level=settings.log.level, key=_log_key(settings, state_dir))
    engine = open_engine(settings.model)
    journal = Journal(state_dir / _JOURNAL)
    released = journal.cases.release_claims(settings.work.restarts)
    if released:
        log.get_logger().warning("claims of a dead process released", cases=released)
    for name in sorted(journal.deliveries.destinations_pending() - {peer.name for peer in settings.destination}):
        log.get_logger().warning("deliveries wait for a destination that is not configured", destination=name)
    sender_done = Bell()
    traffic = Traffic(time.monotonic, on_ended=sender_done.ring)
    flow = Caseflow(settings, journal, traffic, engine.loaded)
    destinations = {peer.name: CStoreDestination(peer_of(peer, settings.node)) for peer in settings.destination}
    spool = Spool(state_dir, flow.take)
    service = Service(
        flow=flow,
        outbox=Outbox(settings, journal.deliveries, destinations),
        listener=Listener(settings.node, settings.receive, spool.take, traffic),
        engine=engine,
        sender_done=sender_done,
        sweep=lambda: sweep([state_dir], older_than_s=_LEFTOVER_AGE_S, now_s=time.time()),
    )
    return service, journal


def open_journal_for_reading(settings: Settings) -> Store:
    """Return the journal, read only, beside a node that may be running. Raises JournalError, SettingsError."""
    path = settings.node.state_dir / _JOURNAL
    if not path.exists():
        raise SettingsError(f"node.state_dir: {settings.node.state_dir} holds no journal; has the node run yet?")
    return Store(path, read_only=True)


def peer_of(destination: DestinationSettings, node: NodeSettings) -> Peer:
    """Return the peer behind a destination."""
    return Peer(
        host=destination.host,
        port=destination.port,
        ae_title=destination.ae_title,
        calling_ae_title=node.ae_title,
        timeout_s=destination.timeout_s,
    )


def make_state_dir(node: NodeSettings) -> Path:
    """Make the state folder, readable by its owner only, and return it. Raises SettingsError."""
    os.umask(0o077)
    try:
        make_folder_durably(node.state_dir)
    except OSError as error:
        raise SettingsError(f"node.state_dir: {node.state_dir}: {error.strerror}") from error
    return node.state_dir


def _log_key(settings: Settings, state_dir: Path) -> bytes | None:
    return log.load_or_make_key(state_dir / _LOG_KEY) if settings.log.identifiers == "hashed" else None
