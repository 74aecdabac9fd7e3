"""Reads the audit trail on, groups what is to be told, tells it, and remembers how far it has told."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from node.deliver.backoff import Backoff
from node.durable import write_durably
from node.errors import DeliveryError, DestinationMisconfigured, JournalDamaged
from node.journal.journal import Journal
from node.journal.trail import newest_place, read_on
from node.log import get_logger
from node.notify.channel import Channel
from node.notify.mail import Mail
from node.notify.message import Group, Message, Speaker, message_of
from node.notify.notices import Kind, Notice
from node.notify.standing import Standing, overdue, taken_in
from node.notify.webhook import Webhook
from node.settings import MailSettings, NotifySettings, Settings

#: Folder in the state folder; a file for each that is told.
FOLDER = "notices"
#: Events that are read at once, and in one step: after a long pause there may be a million.
_PAGE, _MOST_PAGES = 1000, 20
#: Seconds between two looks at the trail, and between two times that a place without anything to tell is written down.
_LOOK_S = 2.0
_KEEP_S = 60.0
_DELAY_S = 5.0
#: The longest pause, and the longest that a step asks to be left alone.
LONGEST_WAIT_S = 900.0
_WAY = "way"
_STANDING = TypeAdapter(Standing)


def channel_of(whom: NotifySettings, clock: Callable[[], float] = time.time) -> Channel:
    """Return the way to somebody; nothing is opened before it is used. `clock`: seconds since 1970."""
    return Mail(whom, clock) if isinstance(whom, MailSettings) else Webhook(whom, clock)


def speaker_of(settings: Settings) -> Speaker:
    """Return how the node is called in messages, and where its page is."""
    return Speaker(name=f"{settings.node.ae_title} on {socket.gethostname()}", page=settings.web.url)


class Notifier:
    """Tells one of `[[notify]]`. Its first step ever begins with the events that come after."""

    def __init__(
        self,
        whom: NotifySettings,
        journal: Journal,
        channel: Channel,
        *,
        state_dir: Path,
        speaker: Speaker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin where an earlier life has stopped. Raises JournalError, OSError."""
        self._whom = whom
        self._journal = journal
        self._channel = channel
        self._speaker = speaker
        self._clock = clock
        self._backoff = Backoff(delay_s=_DELAY_S, cap_s=LONGEST_WAIT_S, clock=clock)
        self._file = state_dir / FOLDER / f"{whom.name}.json"
        self._group = Group()
        #: When the first notice of the group came, and when the last message left.
        self._waits_since_s: float | None = None
        self._told_s: float | None = None
        #: A message on its way, and what is known once it has arrived.
        self._on_its_way: tuple[Message, Standing] | None = None
        self._halted = False
        self._kept_s = clock()
        self._standing = self._kept = self._remembered()

    def step(self) -> float:
        """Read on and tell what is due; return the seconds until the next step. Raises JournalError, OSError.

        A damaged event is told of as that. Where more of the trail is damaged, that ends the telling and not the node,
        whose work does not stand on it.
        """
        try:
            if not self._read():
                return 0.0
        except JournalDamaged as error:
            get_logger().error("notices stand still", notify=self._whom.name, code=error.code, text=str(error))
            return LONGEST_WAIT_S
        if self._on_its_way is None and self._group and self._due_s() == 0:
            self._on_its_way = (message_of(self._group, self._speaker), self._standing)
            self._group, self._waits_since_s = Group(), None
        if self._on_its_way is not None:
            return min(_LOOK_S, self._tell(*self._on_its_way))
        if not self._group and self._standing != self._kept and self._clock() - self._kept_s >= _KEEP_S:
            self._keep(self._standing)
        return _LOOK_S if not self._group else min(_LOOK_S, self._due_s())

    def halt(self) -> None:
        """Break off a message that is being sent, from another thread: the next start sends it again."""
        self._halted = True
        self._channel.hang_up()

    def _read(self) -> bool:
        """Read on; return False where the end has not been reached yet."""
        store = self._journal.store
        for _ in range(_MOST_PAGES):
            standing, notices = self._standing, []
            events, place = read_on(store, standing.place, _PAGE)
            for event in events:
                standing, notice = taken_in(standing, event, store)
                notices.append(notice)
            self._standing = standing.at(place)
            for made in filter(None, notices):
                self._add(made)
            if len(events) < _PAGE:
                break
        else:
            return False
        pending = self._journal.deliveries.destinations_pending
        self._standing, late = overdue(self._standing, self._whom.failing_s, store.age_s, pending)
        for notice in late:
            self._add(notice)
        return True

    def _add(self, notice: Notice) -> None:
        if notice.kind is Kind.EVENT_DAMAGED:
            get_logger().error(
                "event passed over", notify=self._whom.name, event_number=notice.event, code=notice.codes[0]
            )
        if notice.topic not in self._whom.on:
            return
        self._group.add(notice)
        if self._waits_since_s is None:
            self._waits_since_s = self._clock()

    def _due_s(self) -> float:
        """Return the seconds until the group may be told."""
        assert self._waits_since_s is not None  # noqa: S101 - the group holds something
        due_s = self._waits_since_s + self._whom.group_wait_s
        if self._told_s is not None:
            due_s = max(due_s, self._told_s + self._whom.group_interval_s)
        return max(0.0, due_s - self._clock())

    def _tell(self, message: Message, then: Standing) -> float:
        """Send a message that is due, or wait on; return the seconds until the next try or look."""
        if (wait_s := self._backoff.wait_s(_WAY)) > 0:
            return wait_s
        try:
            self._channel.send(message)
        except DeliveryError as error:
            if self._halted:
                get_logger().info("notices broken off", notify=self._whom.name)
                return _LOOK_S
            get_logger().warning("notices not sent", notify=self._whom.name, code=error.code, text=str(error))
            at_least_s = LONGEST_WAIT_S if isinstance(error, DestinationMisconfigured) else 0.0
            self._backoff.failed(_WAY, at_least_s=at_least_s)
            return self._backoff.wait_s(_WAY)
        self._backoff.succeeded(_WAY)
        self._told_s = self._clock()
        self._on_its_way = None
        self._keep(then)
        get_logger().info("notices sent", notify=self._whom.name)
        return _LOOK_S

    def _keep(self, standing: Standing) -> None:
        """Put a standing on the disk: what came before it is never told again."""
        write_durably(self._file, [_STANDING.dump_json(standing)])
        self._kept, self._kept_s = standing, self._clock()

    def _remembered(self) -> Standing:
        """Return what is on the disk, or begin now; where the file cannot be read, that is told."""
        try:
            return _STANDING.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            standing = Standing(place=newest_place(self._journal.store))
            self._keep(standing)
            return standing
        except ValidationError:
            standing = Standing(place=newest_place(self._journal.store))
            now = self._journal.store.now()
            text = f"how far had been told is lost; of what happened before {now} something may not have been told"
            self._add(Notice(kind=Kind.NOTICES_LOST, event=standing.place.event, at=now, text=text))
            return standing
