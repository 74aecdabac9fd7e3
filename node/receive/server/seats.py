"""How many connections and associations there may be at a time, in all and from one address."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Seat:
    """The place of one connection."""

    address: str
    #: It has been accepted as an association.
    associated: bool = False
    #: It has lost its place to another, and is to close.
    lost: bool = False
    #: Wakes its thread; nobody sleeps yet.
    wake: Callable[[], None] = field(default=lambda: None)


class Seats:
    """Counts connections. Safe to use from several threads.

    Where all seats are taken, a new connection gets that of the one that has waited longest without asking for an
    association, if there is such a one: connections that stay silent, or drip, never keep anybody out.
    """

    def __init__(self, *, connections: int, per_address: int, associations: int) -> None:
        self._most = connections
        self._most_per_address = per_address
        self._most_associations = associations
        self._lock = threading.Lock()
        #: In order of arrival.
        self._taken: dict[Seat, None] = {}

    def take(self, address: str) -> Seat | None:
        """Return a seat for a new connection, or None when it has to go at once."""
        with self._lock:
            near = [seat for seat in self._taken if seat.address == address]
            if len(near) >= self._most_per_address:
                candidates = near
            elif len(self._taken) >= self._most:
                candidates = list(self._taken)
            else:
                candidates = []
            if candidates:
                loser = next((seat for seat in candidates if not seat.associated), None)
                if loser is None:
                    return None
                del self._taken[loser]
                loser.lost = True
                loser.wake()
            seat = Seat(address)
            self._taken[seat] = None
            return seat

    def associate(self, seat: Seat) -> bool:
        """Count a connection as an association; False where there are as many as there may be."""
        with self._lock:
            if seat.lost or sum(other.associated for other in self._taken) >= self._most_associations:
                return False
            seat.associated = True
            return True

    def dissociate(self, seat: Seat) -> None:
        """Count an association no more, whose connection is about to close."""
        with self._lock:
            seat.associated = False

    def leave(self, seat: Seat) -> None:
        """Give a seat back; a second time does nothing."""
        with self._lock:
            self._taken.pop(seat, None)
            seat.wake = _nobody

    def waking(self, seat: Seat, wake: Callable[[], None]) -> None:
        """Say how the thread of a connection is woken when it loses its seat."""
        with self._lock:
            seat.wake = wake

    @property
    def taken(self) -> int:
        """How many connections there are."""
        with self._lock:
            return len(self._taken)


def _nobody() -> None:
    """Nobody is left to be woken."""
