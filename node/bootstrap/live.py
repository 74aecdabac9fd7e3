"""The node that serves."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from node import log
from node.bootstrap.engine import open_engine
from node.bootstrap.operator import headroom_of
from node.bootstrap.state import journal_place, make_state_dir, make_uid_key
from node.caseflow import Caseflow
from node.chores import Chores
from node.control import ControlServer
from node.deliver.build import destination_of
from node.domain.commitment import CommitmentReport, CommitmentRequest
from node.enquiry import Enquiry
from node.journal.engines import warn_of_wal_reset
from node.journal.journal import Journal
from node.monitor.figures import FiguresOfNode
from node.notify.notifier import LONGEST_WAIT_S, Notifier, channel_of, speaker_of
from node.operations import Operations
from node.outbox import Outbox
from node.promises import Promises
from node.pull.build import pulls_of_node
from node.receive.listener import Listener
from node.receive.server.storage import Storage
from node.receive.spool import Spool, sweep
from node.receive.traffic import Traffic
from node.recovery import require_finished
from node.retention import Retention
from node.segment.process.pool import EnginePool
from node.segment.process.remote import RemoteEngine
from node.service import Bell, Bells, Duty, Service
from node.settings import Settings

_LEFTOVER_AGE_S = 24 * 3600.0
_LOOK_S = 2.0
#: The longest that a step may take which speaks to a peer, before it counts as stuck.
_LONGEST_PEER_S = 3600.0
_PURGE_EVERY = timedelta(hours=1)
_SWEEP_EVERY = timedelta(hours=1)
_TEND_EVERY = timedelta(seconds=5)


def build_service(settings: Settings) -> tuple[Service, Journal]:
    """Return the wired node and its open journal, after taking back what a dead process held."""
    state_dir = make_state_dir(settings.node)
    log.configure(level=settings.log.level, key=make_uid_key(settings))
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


def _wired(settings: Settings, engine: EnginePool | RemoteEngine, journal: Journal) -> Service:
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
    spool, commitments = Spool(state_dir, flow.take), _Commitments(promises, outbox)
    listener = Listener(settings, spool, traffic, headroom.gate, commitments)
    maximum_bytes = settings.receive.maximum_instance_mb << 20
    pulls = pulls_of_node(settings, journal, Storage(spool, traffic, headroom.gate, maximum_bytes, listener.intake))
    figures = FiguresOfNode(
        intake=listener.intake.counts,
        connections=lambda: listener.connections,
        gate=headroom.gate,
        engine_ready=lambda: engine.is_ready,
        devices=lambda: engine.devices,
    )
    operations = Operations(
        journal,
        {place.name: place.wanted for place in settings.destination},
        purge=lambda dry_run: asdict(retention.purge(dry_run=dry_run)),
        on_change=bells.ring_all,
        on_retry=outbox.resume,
        more={"figures": figures.answer, "pull": pulls.answer},
    )
    chores = Chores()
    pulls.plan(chores)
    chores.every(_PURGE_EVERY, retention.purge)
    chores.every(_SWEEP_EVERY, lambda: _swept(retention, state_dir))
    chores.every(_TEND_EVERY, headroom.tend, at_start=True)
    return Service(
        flow=flow,
        listener=listener,
        engine=engine,
        bells=bells,
        duties=[
            *_duties(settings, journal, traffic, outbox, bells),
            Duty(name="renew the leases", step=flow.renew, bell=Bell(), most_s=settings.work.lease_s / 3),
            Duty(name="report commitments", step=promises.report, bell=Bell(), most_s=_LOOK_S, halt=promises.halt),
            Duty(name="watch the clock", step=chores.watch, bell=Bell(), most_s=_LOOK_S),
        ],
        around=[chores, pulls, ControlServer(state_dir, operations.answer)],
    )


def _take_back(settings: Settings, journal: Journal) -> None:
    released = journal.cases.release_claims(settings.work.restarts)
    if released:
        log.get_logger().warning("claims of a dead process released", cases=released)
    for name in sorted(journal.deliveries.destinations_pending() - {place.name for place in settings.destination}):
        log.get_logger().warning("deliveries wait for a destination that is not configured", destination=name)


def _duties(settings: Settings, journal: Journal, traffic: Traffic, outbox: Outbox, bells: Bells) -> Iterator[Duty]:
    """Yield what is done for each destination, each peer, and each who is told."""
    for name in outbox.destinations:
        sent = Bell()
        deliver = partial(_delivered, outbox, name, sent)
        confirm, halt = partial(outbox.confirm, name), partial(outbox.halt, name)
        yield Duty(name=f"deliver {name}", step=deliver, bell=bells.results_wait, longest_s=_LONGEST_PEER_S, halt=halt)
        yield Duty(name=f"confirm {name}", step=confirm, bell=sent, longest_s=_LONGEST_PEER_S, halt=halt)
    for peer in settings.peer:
        if peer.ask_count:
            enquiry = Enquiry(peer, settings, journal, traffic)
            yield Duty(name=f"ask {peer.ae_title}", step=enquiry.ask, bell=Bell(), most_s=_LOOK_S, halt=enquiry.halt)
    for whom in settings.notify:
        state_dir, speaker = settings.node.state_dir, speaker_of(settings)
        notifier = Notifier(whom, journal, channel_of(whom), state_dir=state_dir, speaker=speaker)
        name, step = f"notify {whom.name}", notifier.step
        yield Duty(name=name, step=step, bell=Bell(), most_s=LONGEST_WAIT_S, halt=notifier.halt)


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
