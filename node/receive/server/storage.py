"""The C-STORE SCP (PS3.4 B.2): one instance after the other into the spool.

A C-STORE is answered with Success only after the bytes, their name and their row in the journal are on the disk. What
cannot be parsed is kept too and answered with Success: a failure would make some senders drop the object.
"""

from collections.abc import Callable

from node.domain.arrivals import Arrival, Quarantined
from node.errors import JournalError
from node.log import get_logger
from node.receive.headroom import Shortage
from node.receive.intake import InstanceEnd, InstanceRefusal, Intake
from node.receive.spool import Incoming, Spool, StoreRequest
from node.receive.traffic import Traffic

SUCCESS = 0x0000
#: Refused: SOP Class not supported (PS3.7 C.5.6).
CLASS_NOT_SUPPORTED = 0x0122
#: Refused: Out of Resources (PS3.4 B.2.3): the sender may try again.
OUT_OF_RESOURCES = 0xA700
#: Error: Cannot understand (PS3.4 B.2.3): there is no data set at all.
CANNOT_UNDERSTAND = 0xC000

_END_OF = {
    Arrival: InstanceEnd.STORED,
    Quarantined: InstanceEnd.QUARANTINED,
    type(None): InstanceEnd.DUPLICATE,
}


class Storage:
    """Takes instances of all associations. `gate` says why nothing may be taken now, or None."""

    def __init__(
        self, spool: Spool, traffic: Traffic, gate: Callable[[], Shortage | None], maximum_bytes: int, intake: Intake
    ) -> None:
        """An instance larger than `maximum_bytes` is refused; 0 sets no limit."""
        self.spool = spool
        self.traffic = traffic
        self.gate = gate
        self.maximum_bytes = maximum_bytes
        self.intake = intake
        self._closed: Shortage | None = None

    def begin(self, request: StoreRequest, association: int) -> "Reception":
        """Begin to take one instance, whose data set follows."""
        self.traffic.active(association)
        closed = self.gate()
        if closed != self._closed:  # once, not for every instance that a sender tries again
            self._closed = closed
            get_logger().warning("instances are refused" if closed else "instances are taken again", why=closed or "")
        if closed is not None:
            return self.refuse(association, OUT_OF_RESOURCES, InstanceRefusal(closed))
        reception = Reception(self, association, SUCCESS)
        reception.open(request)
        return reception

    def refuse(self, association: int, status: int, why: InstanceRefusal) -> "Reception":
        """Return the reception of an instance that is answered with `status`, whatever follows."""
        self.intake.count(why)
        return Reception(self, association, status)


class Reception:
    """One instance that is arriving. After a failure the rest of it is taken and thrown away."""

    def __init__(self, storage: Storage, association: int, status: int) -> None:
        self._storage = storage
        self._association = association
        self._status = status
        self._incoming: Incoming | None = None
        self._bytes = 0

    def open(self, request: StoreRequest) -> None:
        """Begin the file."""
        try:
            self._incoming = self._storage.spool.open(request)
        except OSError as error:
            self._fail(error)

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next piece of the data set."""
        if self._incoming is None:
            return
        self._bytes += len(fragment)
        if 0 < self._storage.maximum_bytes < self._bytes:
            get_logger().warning("instance refused", why="larger than maximum_instance_mb", status="0xA700")
            self._storage.intake.count(InstanceRefusal.TOO_LARGE)
            self._status = OUT_OF_RESOURCES
            self.drop()
            return
        try:
            self._incoming.write(fragment)
        except OSError as error:
            self._fail(error)

    def end(self) -> int:
        """Keep the instance and return the status of the C-STORE-RSP."""
        incoming, self._incoming = self._incoming, None
        self._storage.intake.received(self._bytes)
        if incoming is None:
            return self._status
        try:
            taken = incoming.keep()
        except (OSError, JournalError) as error:
            self._fail(error)
            return self._status
        finally:
            incoming.discard()
        if isinstance(taken, Arrival):
            self._storage.traffic.arrived(taken.series_uid, self._association)
        elif isinstance(taken, Quarantined):
            get_logger().warning("bytes quarantined", code=taken.code)
        self._storage.intake.count(_END_OF[type(taken)])
        return self._status

    def drop(self) -> None:
        """Leave nothing of an instance that did not arrive as a whole."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.discard()

    def _fail(self, error: Exception) -> None:
        get_logger().error("instance not stored", error=type(error).__name__, status="0xA700")
        self._storage.intake.count(InstanceRefusal.NOT_STORED)
        self._status = OUT_OF_RESOURCES
        self.drop()
