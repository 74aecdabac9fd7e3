"""The composition root: settings in, wired objects out. Here alone are the adapters named."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from node import log
from node.caseflow import Caseflow
from node.chores import Chores
from node.control import ControlServer
from node.deliver.build import destination_of
from node.domain.commitment import CommitmentReport, CommitmentRequest
from node.durable import make_folder_durably
from node.enquiry import Enquiry
from node.errors import BundleTampered, SettingsError
from node.journal.engines import warn_of_wal_reset
from node.journal.journal import Journal
from node.journal.store import Store
from node.operations import Operations
from node.outbox import Outbox
from node.promises import Promises
from node.receive.headroom import Headroom
from node.receive.listener import Listener
from node.receive.spool import Spool, sweep
from node.receive.traffic import Traffic
from node.recovery import require_finished
from node.retention import Retention
from node.segment.bundle import STARTER, Bundle, load_bundle
from node.segment.process.pool import EnginePool
from node.service import Bell, Bells, Duty, Service
from node.settings import STARTER_BUNDLE, ModelSettings, NodeSettings, Settings

_JOURNAL = "journal.sqlite"
_LOG_KEY = "log.key"
_LEFTOVER_AGE_S = 24 * 3600.0
_LOOK_S = 2.0
_PURGE_EVERY = timedelta(hours=1)
_SWEEP_EVERY = timedelta(hours=1)
_TEND_EVERY = timedelta(seconds=5)


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
    require_finished(state_dir)
    if not settings.journal.url:
        warn_of_wal_reset()
    engine = open_engine(settings.model)
    journal = Journal(journal_place(settings))
    try:
        return _wired(settings, engine, journal), journal
    except BaseException:
        journal.close()
        raise


def _wired(settings: Settings, engine: EnginePool, journal: Journal) -> Service:
    _take_back(settings, journal)
    state_dir, bells = settings.node.state_dir, Bells()
    traffic = Traffic(time.monotonic, on_ended=bells.sender_done.ring)
    flow = Caseflow(settings, journal, traffic, engine.loaded)
    destinations = {place.name: destination_of(place, settings.node) for place in settings.destination}
    outbox = Outbox(settings, journal, destinations)
    promises = Promises(settings, journal)
    headroom = headroom_of(settings, journal)
    retention = Retention(settings, journal, headroom)
    retention.take_in()
    flow.resume()
    operations = Operations(
        journal,
        purge=lambda dry_run: asdict(retention.purge(dry_run=dry_run)),
        on_change=bells.ring_all,
        on_retry=outbox.resume,
    )
    chores = Chores()
    chores.every(_PURGE_EVERY, retention.purge)
    chores.every(_SWEEP_EVERY, lambda: _swept(retention, state_dir))
    chores.every(_TEND_EVERY, headroom.tend, at_start=True)
    return Service(
        flow=flow,
        listener=Listener(
            settings, Spool(state_dir, flow.take), traffic, headroom.gate, _Commitments(promises, outbox)
        ),
        engine=engine,
        bells=bells,
        duties=[
            *_duties(settings, journal, traffic, outbox, bells),
            Duty(name="renew the leases", step=flow.renew, bell=Bell(), most_s=settings.work.lease_s / 3),
            Duty(name="report commitments", step=promises.report, bell=Bell(), most_s=_LOOK_S),
            Duty(name="watch the clock", step=chores.watch, bell=Bell(), most_s=_LOOK_S),
        ],
        around=[chores, ControlServer(state_dir, operations.answer)],
    )


def _take_back(settings: Settings, journal: Journal) -> None:
    released = journal.cases.release_claims(settings.work.restarts)
    if released:
        log.get_logger().warning("claims of a dead process released", cases=released)
    for name in sorted(journal.deliveries.destinations_pending() - {place.name for place in settings.destination}):
        log.get_logger().warning("deliveries wait for a destination that is not configured", destination=name)


def _duties(settings: Settings, journal: Journal, traffic: Traffic, outbox: Outbox, bells: Bells) -> Iterator[Duty]:
    """Yield what is done for each destination and each peer."""
    for name in outbox.destinations:
        sent = Bell()
        yield Duty(name=f"deliver {name}", step=partial(_delivered, outbox, name, sent), bell=bells.results_wait)
        yield Duty(name=f"confirm {name}", step=partial(outbox.confirm, name), bell=sent)
    for peer in settings.peer:
        if peer.ask_count:
            enquiry = Enquiry(peer, settings, journal, traffic)
            yield Duty(name=f"ask {peer.ae_title}", step=enquiry.ask, bell=Bell(), most_s=_LOOK_S)


def _delivered(outbox: Outbox, name: str, sent: Bell) -> float | None:
    """Deliver, and ring for who asks whether it is there."""
    try:
        return outbox.deliver(name)
    finally:
        sent.ring()


def _swept(retention: Retention, state_dir: Path) -> None:
    sweep([state_dir], older_than_s=_LEFTOVER_AGE_S, now_s=time.time())
    retention.sweep()


@dataclass(frozen=True, slots=True)
class _Commitments:
    """Storage commitment, both ways, as the listener hands it on."""

    promises: Promises
    outbox: Outbox

    def asked(self, request: CommitmentRequest) -> None:
        self.promises.asked(request)

    def told(self, report: CommitmentReport) -> bool:
        return self.outbox.told(report)


def journal_place(settings: Settings) -> Path | str:
    """Return where the journal is: a SQLite file, or the URL of a PostgreSQL database."""
    return settings.journal.url or settings.node.state_dir / _JOURNAL


def require_journal(settings: Settings) -> None:
    """Raise SettingsError where the node has never run."""
    place = journal_place(settings)
    if not settings.node.state_dir.is_dir() or (isinstance(place, Path) and not place.exists()):
        raise SettingsError(f"node.state_dir: {settings.node.state_dir} holds no journal; has the node run yet?")


def local_journal(settings: Settings) -> Path:
    """Return the file of a SQLite journal, which need not be there. Raises SettingsError for PostgreSQL."""
    if settings.journal.url:
        raise SettingsError("journal.url: a PostgreSQL journal is restored from the backups of its database")
    if not settings.node.state_dir.is_dir():
        raise SettingsError(f"node.state_dir: {settings.node.state_dir} is no folder")
    return settings.node.state_dir / _JOURNAL


def headroom_of(settings: Settings, journal: Journal) -> Headroom:
    """Return the watermarks of the state folder."""
    return Headroom(
        settings.node.state_dir,
        minimum_free_mb=settings.receive.minimum_free_mb,
        maximum_backlog=settings.receive.maximum_backlog,
        queued=journal.cases.queued,
    )


@contextmanager
def operations_alone(settings: Settings) -> Iterator[Operations]:
    """Give what an operator can do, while the node does not run. Raises NodeAlreadyRunning, JournalError."""
    state_dir = make_state_dir(settings.node)
    require_finished(state_dir)
    journal = Journal(journal_place(settings))
    try:
        retention = Retention(settings, journal, headroom_of(settings, journal))
        yield Operations(journal, purge=lambda dry_run: asdict(retention.purge(dry_run=dry_run)))
    finally:
        journal.close()


def open_journal_for_reading(settings: Settings) -> Store:
    """Return the journal, read only, beside a node that may be running. Raises JournalError, SettingsError."""
    require_journal(settings)
    return Store(journal_place(settings), read_only=True)


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
