"""PENDING objects of one destination are sent, case by case, and each case in order.

A destination is a circuit breaker: a failure of the way pauses all of it, and after the pause one case is the probe. So
a dead archive costs one association a pause, however many cases wait. A failure of one object pauses its case only; the
report after a SEG that failed stays behind with it, since it names the SEG.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from node.deliver.backoff import Backoff
from node.deliver.destination import Answer, Destination, Parcel
from node.deliver.encoding import read_parcel
from node.errors import (
    AttemptsSpent,
    CannotUnderstand,
    ContextsRefused,
    DeliveryError,
    DestinationMisconfigured,
    NotConfirmed,
    OutOfResources,
    ResultDamaged,
    StoreFailed,
)
from node.journal.deliveries import Delivery
from node.journal.journal import Journal
from node.log import get_logger
from node.settings import Delivering

#: Key of the pause of a whole destination, beside those of its cases.
_WAY = "way"
#: After so long a step ends, so that the service can end between two.
_STEP_S = 5.0
#: So often an object is offered that the destination cannot understand (0xCxxx): archives say that of a bad hour, too.
_MISUNDERSTOOD = 5
#: So many cases in a row may fail, each for itself, before it looks like the destination.
_FAILING_CASES = 5


def is_confirmed(knobs: Delivering) -> bool:
    """Return whether a destination is asked for what it took."""
    return getattr(knobs, "confirm", "none") != "none"


class Sender:
    """The deliveries to one destination."""

    def __init__(
        self,
        *,
        journal: Journal,
        destination: Destination,
        state_dir: Path,
        knobs: Delivering,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal.deliveries
        self._destination = destination
        self._state_dir = state_dir
        self._knobs = knobs
        self._clock = clock
        self._backoff = backoff_of(knobs, clock)
        #: Pauses of cases that the destination took and did not keep; a success in sending does not end these.
        self._unconfirmed = backoff_of(knobs, clock)
        self._misunderstood: Counter[int] = Counter()
        self._failing_cases = 0
        self._is_first_step = True
        #: The node ends: what is under way is broken off, and was no attempt.
        self.halted = False

    def step(self) -> float | None:
        """Deliver what waits; return the seconds until the next try, 0 for more to do, None when nothing waits."""
        if (wait_s := self._backoff.wait_s(_WAY)) > 0:
            return wait_s
        pending = self._journal.pending(self._knobs.name)
        cases = {str(case): list(group) for case, group in groupby(pending, key=lambda delivery: delivery.case_id)}
        self._backoff.keep({_WAY, *cases})
        if self._is_first_step:
            self._is_first_step = False
            self._backoff.spread([case for case, group in cases.items() if any(item.attempts for item in group)])
        waits: list[float] = []
        end_s = self._clock() + _STEP_S
        for case, deliveries in cases.items():
            if self.halted or self._clock() > end_s:
                return 0.0
            if self._wait_s(case) == 0:
                self._deliver_case(case, deliveries)
            if (wait_s := self._backoff.wait_s(_WAY)) > 0:
                return wait_s
            waits.append(self._wait_s(case))
        return min((wait_s for wait_s in waits if wait_s > 0), default=None)

    def resume(self) -> None:
        """End every pause, and count anew what the destination could not understand."""
        self._backoff.keep(())
        self._unconfirmed.keep(())
        self._misunderstood.clear()

    def halt(self) -> None:
        """Break off what is under way, from another thread. What has been answered is still written down."""
        self.halted = True
        self._destination.hang_up()

    def unconfirmed(self, case: str) -> None:
        """Pause a case whose objects the destination took and does not have."""
        self._unconfirmed.failed(case)

    def confirmed(self, case: str) -> None:
        """Forget such a pause: the destination keeps what it takes."""
        self._unconfirmed.succeeded(case)

    def _wait_s(self, case: str) -> float:
        return max(self._backoff.wait_s(case), self._unconfirmed.wait_s(case))

    def _deliver_case(self, case: str, deliveries: Iterable[Delivery]) -> None:
        """Deliver the objects of one case in order; what fails stays in the outbox, and what comes after it."""
        sendable, failed = self._sendable(deliveries)
        if sendable:
            failed |= self._send(sendable)
        self._judge(case, failed=failed)

    def _sendable(self, deliveries: Iterable[Delivery]) -> tuple[list[tuple[Delivery, Parcel]], bool]:
        """Return what may be sent: with attempts left, and with the file that was made; a retry sends it or nothing.

        And whether something has to be tried again, which ends the list.
        """
        sendable: list[tuple[Delivery, Parcel]] = []
        for delivery in deliveries:
            try:
                self._must_have_attempts(delivery)
                sendable.append((delivery, self._intact(delivery)))
            except DeliveryError as error:
                if self._record_error(delivery, error):
                    return sendable, True
        return sendable, False

    def _send(self, sendable: Sequence[tuple[Delivery, Parcel]]) -> bool:
        """Send objects in order, up to the first that fails for a while; return whether one did."""
        waiting = {parcel.sop_instance_uid: delivery for delivery, parcel in sendable}
        unsure: list[tuple[Delivery, Answer]] = []
        failed = False
        try:
            with closing(self._destination.deliver([parcel for _, parcel in sendable])) as answers:
                for answer in answers:
                    delivery = waiting.pop(answer.parcel.sop_instance_uid)
                    if answer.error is not None:
                        failed = self._record_error(delivery, answer.error)
                    elif answer.unsure and not is_confirmed(self._knobs):
                        unsure.append((delivery, answer))
                    else:
                        self._record_taken(delivery, answer.note)
                    if failed or self.halted:
                        break
        except DeliveryError as error:
            self._way_failed(error, list(waiting.values()))
        return self._verify(unsure) or failed

    def _must_have_attempts(self, delivery: Delivery) -> None:
        if 0 < self._knobs.attempts <= delivery.attempts:
            raise AttemptsSpent(f"{delivery.attempts} attempts, and it is not there")

    def _intact(self, delivery: Delivery) -> Parcel:
        path = self._state_dir / delivery.path
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            digest = ""
        except OSError as error:
            raise StoreFailed(f"the result file cannot be read now: {type(error).__name__}") from error
        if digest != delivery.digest:
            raise ResultDamaged("the result file is gone or differs from its digest")
        return read_parcel(path)

    def _record_taken(self, delivery: Delivery, note: str | None) -> None:
        record = self._journal.record_sent if is_confirmed(self._knobs) else self._journal.record_delivered
        record(delivery, note)
        self._way_works()

    def _record_error(self, delivery: Delivery, error: DeliveryError) -> bool:
        """Record an error of one object; return whether it is tried again."""
        final = self._final(delivery, error)
        if final is None:
            self._journal.record_failed(delivery, error.code, str(error))
        else:
            self._journal.record_refused(delivery, final.code, str(final))
        if isinstance(error, OutOfResources | DestinationMisconfigured):
            self._pause_way(error)
        elif not error.retryable:
            self._way_works()
        return final is None

    def _final(self, delivery: Delivery, error: DeliveryError) -> DeliveryError | None:
        """Return the error that ends a delivery, None where it is tried again."""
        if not error.retryable:
            return error
        if isinstance(error, CannotUnderstand):
            self._misunderstood[delivery.delivery_id] += 1
            if self._misunderstood[delivery.delivery_id] >= _MISUNDERSTOOD:
                del self._misunderstood[delivery.delivery_id]
                return AttemptsSpent(f"{_MISUNDERSTOOD} times: {error}")
        attempts = delivery.attempts + 1
        if 0 < self._knobs.attempts <= attempts:
            return AttemptsSpent(f"{attempts} attempts, at last: {error}")
        return None

    def _verify(self, unsure: Sequence[tuple[Delivery, Answer]]) -> bool:
        """Ask for what the destination says it had already; return whether something is tried again.

        Where it answers no query its word has to do, and the note says so.
        """
        open_ones = {answer.parcel.sop_instance_uid: (delivery, answer) for delivery, answer in unsure}
        failed = False
        try:
            parcels = [answer.parcel for _, answer in unsure]
            for confirmation in self._destination.confirm(parcels) if parcels else ():
                delivery, answer = open_ones.pop(confirmation.parcel.sop_instance_uid)
                if confirmation.found:
                    self._record_taken(delivery, f"{answer.note}; verified")
                else:
                    failed |= self._record_error(delivery, NotConfirmed(f"{answer.note}; it does not find it"))
        except ContextsRefused:
            for delivery, answer in open_ones.values():
                self._record_taken(delivery, f"{answer.note}; not verified: it answers no query")
        except DeliveryError as error:
            if self.halted:
                return failed
            for delivery, _ in open_ones.values():
                failed |= self._record_error(delivery, error)
        return failed

    def _judge(self, case: str, *, failed: bool) -> None:
        """Pause a case that failed; and the destination when one case after the other does."""
        if not failed:
            self._backoff.succeeded(case)
            return
        self._backoff.failed(case)
        self._failing_cases += 1
        if self._failing_cases >= _FAILING_CASES and self._backoff.wait_s(_WAY) == 0:
            self._backoff.hold(_WAY)

    def _way_works(self) -> None:
        self._backoff.succeeded(_WAY)
        self._failing_cases = 0

    def _way_failed(self, error: DeliveryError, waiting: Sequence[Delivery]) -> None:
        """Record what ended the way: for the object that was on it, or, where it takes none of them, for all.

        Where it was this node that ended it, the next start sends again what nobody answered.
        """
        if self.halted:
            get_logger().info("delivery broken off", destination=self._knobs.name)
            return
        get_logger().warning("destination failed", destination=self._knobs.name, code=error.code, text=str(error))
        for delivery in waiting[:1] if error.retryable else waiting:
            self._record_error(delivery, error)
        if error.retryable:
            self._pause_way(error)

    def _pause_way(self, error: DeliveryError) -> None:
        """Pause the destination; long where an operator has to act, and as long as it asks for itself."""
        at_least_s = error.retry_after_s if isinstance(error, OutOfResources) else 0.0
        if isinstance(error, DestinationMisconfigured):
            at_least_s = self._knobs.retry_cap_s
        if self._backoff.wait_s(_WAY) == 0:
            self._backoff.failed(_WAY, at_least_s=at_least_s)


def backoff_of(knobs: Delivering, clock: Callable[[], float]) -> Backoff:
    """Return new pauses by the settings of a destination."""
    return Backoff(delay_s=knobs.retry_delay_s, cap_s=knobs.retry_cap_s, multiplier=knobs.retry_multiplier, clock=clock)
