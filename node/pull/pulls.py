"""All pulls of the running node: by their schedules, and when a command asks for one (`node.control`).

A request: do "pull", step, pull (a name of the settings). Steps:

start   dry_run, since (a day, ISO 8601), studies[] (Study Instance UIDs) -> state
look    after (how many series are known already) -> state, series[] (a page of them), outcome, error
stop    -> state; the series that is on its way is finished

A state is "running", "ended", or "never" before the first one. What a pull tells is kept until the next of its name.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from node.chores import Chores
from node.control import error_answer
from node.domain.identifiers import parse_uid
from node.errors import InputError, JournalError, NodeError, SystemFailed, unexpected
from node.journal.pulls import PullJournal
from node.log import get_logger
from node.pull.report import Fate, Item, Outcome, Wish
from node.pull.run import Pull

Document = Mapping[str, Any]

#: Series in one answer: a message holds 1 MB.
_PAGE = 500
#: Between two looks whether the window of a pull that was put off is open.
_LOOK = timedelta(minutes=1)
#: Of those that are not asked for, so many are kept for who looks; of all of them the outcome has the reasons.
_MOST_SKIPPED = 20_000


class PullRunner:
    """One pull, run once at a time in a thread of its own, and what it told last."""

    def __init__(self, pull: Pull, journal: PullJournal, clock: Callable[[], float] = time.monotonic) -> None:
        self.pull = pull
        self._journal = journal
        self._clock = clock
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._items: list[Item] = []
        self._skipped = 0
        self._outcome: Document | None = None
        self._error: Document | None = None
        self._ended = False
        #: Its time came outside its windows.
        self._put_off = False

    @property
    def state(self) -> str:
        """Say how the last run stands."""
        if self._thread is None:
            return "never"
        return "running" if self._thread.is_alive() else "ended"

    def by_schedule(self) -> None:
        """Run, unless it is running; out of its windows put it off. What it fails at is in the journal and the log."""
        if not self.pull.is_time():
            if not self._put_off:
                get_logger().info("pull put off", pull=self.pull.settings.name, windows=self.pull.settings.windows)
            self._put_off = True
        elif self._begun(Wish(scheduled=True)):
            self._put_off = False

    def by_window(self) -> None:
        """Run what was put off, once a window is open."""
        if self._put_off and self.pull.is_time() and self._begun(Wish(scheduled=True)):
            self._put_off = False

    def start(self, wish: Wish) -> None:
        """Run. Raises SystemFailed while it is running, and once it was ended."""
        if not self._begun(wish):
            why = "is running; it tells how far it is" if not self._ended else "is not begun any more: the node ends"
            raise SystemFailed(f"pull {self.pull.settings.name} {why}")

    def end(self) -> None:
        """End what runs, wherever it is, and let nothing begin later."""
        with self._changing:
            self._ended = True
        self.pull.end()

    def join(self) -> None:
        """Wait until nothing runs."""
        if self._thread is not None:
            self._thread.join()

    def told(self, after: int) -> Document:
        """Return the next page of series, and the sums once it has ended."""
        document = {"state": self.state}  # before the rest: what has ended tells nothing more
        items = self._items[after : after + _PAGE]
        series = [item.document() for item in items]
        return {**document, "series": series, "outcome": self._outcome, "error": self._error}

    def _begun(self, wish: Wish) -> bool:
        """Begin to run; return False while it is running, and once it was ended."""
        with self._changing:
            if self._ended or self.state == "running":
                return False
            self._items, self._skipped, self._outcome, self._error = [], 0, None, None
            self.pull.stop.clear()
            self._thread = threading.Thread(name=f"pull {self.pull.settings.name}", target=self._run, args=(wish,))
            self._thread.start()
            return True

    def _keep(self, item: Item) -> None:
        """Keep what is told of a series, in bounds: an archive may have a million."""
        if item.fate is Fate.SKIPPED:
            self._skipped += 1
            if self._skipped > _MOST_SKIPPED:
                return
        self._items.append(item)

    def _run(self, wish: Wish) -> None:
        began_s = self._clock()
        try:
            outcome = self.pull.run(wish, self._keep)
            self._conclude(wish, outcome, self._clock() - began_s)
        except OSError as error:
            self._fail(wish, SystemFailed(error.strerror or "the machine failed"))
        except NodeError as error:
            self._fail(wish, error)
        except Exception as error:  # noqa: BLE001 - its message may quote a patient, and the node goes on
            self._fail(wish, unexpected(error))

    def _conclude(self, wish: Wish, outcome: Outcome, seconds: float) -> None:
        self._outcome = {**outcome.document(), "seconds": round(seconds, 2), "dry_run": wish.dry_run}
        name = self.pull.settings.name
        if not wish.dry_run:
            self._journal.note_ended(name, **self._outcome)
        get_logger().info("pull ended", pull=name, **self._outcome)

    def _fail(self, wish: Wish, error: NodeError) -> None:
        self._error = error_answer(error)["error"]
        name = self.pull.settings.name
        get_logger().error("pull failed", pull=name, code=error.code, text=str(error))
        if not wish.dry_run:
            try:
                self._journal.note_failed(name, code=error.code, text=str(error))
            except JournalError as failure:
                get_logger().error("journal failed", text=str(failure))


class Pulls:
    """The pulls of one node. A context: at its end nothing runs any more."""

    def __init__(self, pulls: Iterable[Pull], journal: PullJournal) -> None:
        self.runners = {pull.settings.name: PullRunner(pull, journal) for pull in pulls}

    def plan(self, chores: Chores) -> None:
        """Have each pull done by its schedule."""
        for runner in self.runners.values():
            schedule = runner.pull.settings
            if schedule.every_min:
                chores.every(timedelta(minutes=schedule.every_min), runner.by_schedule)
            elif schedule.cron:
                chores.at(schedule.cron, runner.by_schedule)
            if schedule.windows and (schedule.every_min or schedule.cron):
                chores.every(_LOOK, runner.by_window)

    def __enter__(self) -> "Pulls":
        """Begin; nothing runs yet."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End what runs, and wait for it."""
        self.halt()
        for runner in self.runners.values():
            runner.join()

    def halt(self) -> None:
        """End what runs, wherever it is: the node takes nothing more that an archive sends."""
        for runner in self.runners.values():
            runner.end()

    def answer(self, request: Document) -> Document:
        """Do what a request asks for. Raises InputError, or SystemFailed for a pull that is running."""
        name = request.get("pull")
        runner = self.runners.get(name) if isinstance(name, str) else None
        if runner is None:
            known = ", ".join(self.runners) or "none is configured"
            raise InputError(f"no [[pull]] has this name; there are: {known}")
        step = request.get("step")
        if step == "start":
            runner.start(wish_of(request))
        elif step == "stop":
            runner.pull.stop.set()
        elif step == "look":
            after = request.get("after", 0)
            if not isinstance(after, int) or after < 0:
                raise InputError("after of the request is no number of series")
            return {"pull": name, **runner.told(after)}
        else:
            raise InputError("the request names no step of a pull")
        return {"pull": name, "state": runner.state}


def wish_of(request: Document) -> Wish:
    """Return what a request wishes. Raises InputError."""
    dry_run, since, studies = request.get("dry_run", False), request.get("since"), request.get("studies", [])
    if not isinstance(dry_run, bool):
        raise InputError("dry_run of the request is neither true nor false")
    if not isinstance(studies, list) or not all(isinstance(uid, str) for uid in studies):
        raise InputError("studies of the request is no list of UIDs")
    try:
        day = date.fromisoformat(since) if since is not None else None
    except (TypeError, ValueError) as error:
        raise InputError("since of the request is no day, such as 2026-01-31") from error
    return Wish(dry_run=dry_run, since=day, study_uids=tuple(parse_uid(uid) for uid in studies))
