"""The DICOM upper layer of one connection: pynetdicom's provider, without a thread or a loop of its own."""

import threading
import time
from collections.abc import Callable
from typing import Any

from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket

from node.receive.server.connection import Connection


class MonotonicTimer(Timer):
    """pynetdicom's timer on a clock that nobody sets: a step of the wall clock ends no association."""

    @property
    def remaining(self) -> float:
        """Seconds that are left, or 1 without a time-out."""
        if self.timeout is None:
            return 1.0
        if self._start_time is None:
            return float(self.timeout)
        end = time.monotonic() if self._end_time is None else self._end_time
        return float(self.timeout - (end - self._start_time))

    def start(self) -> None:
        """Run from the beginning."""
        self._start_time, self._end_time = time.monotonic(), None

    def stop(self) -> None:
        """Stand still."""
        self._end_time = time.monotonic()


class UpperLayer(DULServiceProvider):
    """The provider on the thread of its association: what is queued is done at once, or rung for from elsewhere."""

    def __init__(self, association: Any, ring: Callable[[], None]) -> None:
        super().__init__(association)
        self._ring = ring
        self._idle_timer = MonotonicTimer(60)
        self.artim_timer = MonotonicTimer(30)

    @property
    def state(self) -> str:
        """The state of the state machine (PS3.8 9.2)."""
        return str(self.state_machine.current_state)

    @property
    def ended(self) -> bool:
        """The connection is closed, as far as the state machine is concerned."""
        return bool(self._kill_thread)

    def send_pdu(self, primitive: Any) -> None:
        """Send a primitive: now on the thread of the association, soon from any other."""
        super().send_pdu(primitive)
        if threading.current_thread() is self.assoc:
            self.advance()
        else:
            self._ring()

    def happen(self, event: str) -> None:
        """Let the state machine act on an event (PS3.8 9.2.1), and on all that follows from it."""
        self.event_queue.put(event)
        self.advance()

    def advance(self) -> None:
        """Let the state machine act on all that is queued; what is to be sent and cannot be any more is dropped."""
        while not self._kill_thread:
            if self.event_queue.empty() and not self._process_recv_primitive():
                return
            queued = self.to_provider_queue.qsize()
            event = self.event_queue.get(block=False)
            if (event, self.state) in TRANSITION_TABLE:
                self.state_machine.do_action(event)
            elif queued and event in {"Evt7", "Evt8", "Evt9", "Evt14", "Evt15"}:
                self.to_provider_queue.get(block=False)


class Transport(AssociationSocket):
    """pynetdicom's view of a connection."""

    def __init__(self, association: Any, connection: Connection, send_timeout_s: float) -> None:
        super().__init__(association, client_socket=connection.socket)
        self.connection = connection
        self._send_timeout_s = send_timeout_s

    def send(self, bytestream: bytes) -> None:
        """Send all bytes, or let the state machine know that the connection is lost."""
        if not self.connection.send(bytestream, time.monotonic() + self._send_timeout_s):
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        self.connection.close()
