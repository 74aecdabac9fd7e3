"""One destination of a batch: what it is sent, what is tried again, what it is asked for."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from node.deliver.backoff import Backoff
from node.deliver.build import destination_of
from node.deliver.destination import Answer, Destination, Parcel
from node.domain.case import Wanted
from node.errors import (
    BatchInterrupted,
    ContextsRefused,
    DeliveryError,
    DestinationMisconfigured,
    NotConfirmed,
    OutOfResources,
    StoreFailed,
)
from node.settings import DestinationSettings, NodeSettings

#: So often something is tried whose error may pass, where the settings say "until it is there": a batch ends some time.
_TRIES = 5
#: How long a destination that is not asked by its settings may take to find what it calls a duplicate.
_VERIFIED_WITHIN_S = 60.0


@dataclass(slots=True, kw_only=True)
class Sent:
    """What became of some parcels, in the order that they were sent in."""

    taken: list[Answer] = field(default_factory=list)
    failed: list[tuple[Parcel, DeliveryError]] = field(default_factory=list)


class Way:
    """A destination, and how patient one is with it. `clock` and `pause` are in seconds."""

    def __init__(
        self,
        settings: DestinationSettings,
        destination: Destination,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = settings.name
        self.wanted: Wanted = settings.wanted
        #: A batch hears no report of storage commitment, which comes to a listener: it asks by a query instead.
        self.confirmed = getattr(settings, "confirm", "none") != "none"
        self._confirm_s = getattr(settings, "confirm_timeout_s", _VERIFIED_WITHIN_S)
        self._destination = destination
        self._tries = settings.attempts or _TRIES
        self._clock, self._pause = clock, pause
        self._backoff = Backoff(
            delay_s=settings.retry_delay_s,
            cap_s=settings.retry_cap_s,
            multiplier=settings.retry_multiplier,
            clock=clock,
        )

    def send(self, parcels: Sequence[Parcel]) -> Sent:
        """Send `parcels` in order. What follows one that fails stays behind: a SR names its SEG, a SEG its images.

        Raises BatchInterrupted where the destination cannot be reached, DestinationMisconfigured.
        """
        sent, waiting = Sent(), list(parcels)
        for tried in range(1, self._tries + 1):
            error, of_the_way = self._offer(waiting, sent)
            if error is None:
                self._backoff.succeeded(self.name)
                break
            if of_the_way and (tried == self._tries or not error.retryable):
                raise BatchInterrupted(f"{self.name}: {error}; the same command goes on from here") from error
            if tried == self._tries or not error.retryable:
                sent.failed.append((waiting[0], error))
                behind = StoreFailed("stays behind: an object that it refers to is not there")
                sent.failed += [(parcel, behind) for parcel in waiting[1:]]
                break
            self._wait(error)
        return sent

    def missing(self, answers: Sequence[Answer]) -> dict[str, DeliveryError]:
        """Return by UID what the destination took and does not have, asked until it is found or the time is up.

        Asked for is everything where its settings say so, else what it took for a duplicate; where it answers no query
        its word has to do for that. Raises BatchInterrupted where it cannot be asked.
        """
        asked = {answer.parcel.sop_instance_uid: answer.parcel for answer in answers if self.confirmed or answer.unsure}
        end_s = self._clock() + self._confirm_s
        while asked:
            try:
                self._ask(asked)
            except ContextsRefused as error:
                return {uid: NotConfirmed(f"it answers no query: {error}") for uid in asked if self.confirmed}
            except DestinationMisconfigured:
                raise
            except DeliveryError as error:
                if self._clock() >= end_s:
                    raise BatchInterrupted(f"{self.name}: {error}; the same command goes on from here") from error
            if asked and self._clock() >= end_s:
                break
            if asked:
                self._wait(None)
        self._backoff.succeeded(self.name)
        return {uid: NotConfirmed("the destination took it, and does not find it") for uid in asked}

    def _offer(self, waiting: list[Parcel], sent: Sent) -> tuple[DeliveryError | None, bool]:
        """Send what waits, up to the first failure; return the error, and whether it is one of the whole way."""
        try:
            with closing(self._destination.deliver(list(waiting))) as answers:
                for answer in answers:
                    if answer.error is not None:
                        return answer.error, False
                    sent.taken.append(answer)
                    waiting.pop(0)
        except DestinationMisconfigured:
            raise
        except DeliveryError as error:
            return error, True
        return None, False

    def _ask(self, asked: dict[str, Parcel]) -> None:
        with closing(self._destination.confirm(list(asked.values()))) as confirmations:
            for confirmation in confirmations:
                if confirmation.found:
                    del asked[confirmation.parcel.sop_instance_uid]

    def _wait(self, error: DeliveryError | None) -> None:
        at_least_s = error.retry_after_s if isinstance(error, OutOfResources) else 0.0
        self._backoff.failed(self.name, at_least_s=at_least_s)
        self._pause(self._backoff.wait_s(self.name))


def way_of(settings: DestinationSettings, node: NodeSettings) -> Way:
    """Return the way to a destination of the settings; nothing is opened before it is used."""
    return Way(settings, destination_of(settings, node))
