"""The last step of the live way: what waits for a destination is delivered, and tried again until it is settled."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from pydicom.filereader import read_file_meta_info

from node.deliver.backoff import Backoff
from node.deliver.destination import Destination, Parcel
from node.errors import DeliveryError, ResultDamaged
from node.journal.deliveries import Delivery, DeliveryJournal
from node.log import get_logger
from node.settings import Settings

#: Key of the pause of a whole destination, beside those of its cases.
_WAY = "way"


class Outbox:
    """Deliveries over one journal. `deliver` is for one thread per destination: a bad one holds up no other."""

    def __init__(
        self,
        settings: Settings,
        journal: DeliveryJournal,
        destinations: Mapping[str, Destination],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state_dir = settings.node.state_dir
        self._journal = journal
        self._destinations = destinations
        self._backoffs = {
            peer.name: Backoff(delay_s=peer.retry_delay_s, cap_s=peer.retry_cap_s, clock=clock)
            for peer in settings.destination
        }

    @property
    def destinations(self) -> tuple[str, ...]:
        """The names of all destinations."""
        return tuple(self._destinations)

    def deliver(self, destination: str) -> float | None:
        """Deliver what waits for a destination; return the seconds until its next try, None when nothing waits."""
        backoff = self._backoffs[destination]
        if (wait_s := backoff.wait_s(_WAY)) > 0:
            return wait_s
        waits: list[float] = []
        pending = self._journal.pending(destination)
        for case_id, group in groupby(pending, key=lambda delivery: delivery.case_id):
            if backoff.wait_s(str(case_id)) == 0:
                self._deliver_case(destination, self._intact(group), backoff)
            if (wait_s := backoff.wait_s(_WAY)) > 0:
                return wait_s
            waits.append(backoff.wait_s(str(case_id)))
        return min((wait_s for wait_s in waits if wait_s > 0), default=None)

    def _intact(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Return the deliveries whose file still has its digest; a retry sends the same bytes or none."""
        intact = []
        for delivery in deliveries:
            path = self._state_dir / delivery.path
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == delivery.digest:
                intact.append(delivery)
            else:
                self._record_error(delivery, ResultDamaged("the result file is gone or differs from its digest"))
        return intact

    def _deliver_case(self, name: str, deliveries: Sequence[Delivery], backoff: Backoff) -> None:
        """Deliver the objects of one case in order; what fails stays in the outbox for its next try."""
        if not deliveries:
            return
        waiting = {delivery.sop_instance_uid: delivery for delivery in deliveries}
        case, failed = str(deliveries[0].case_id), False
        try:
            for answer in self._destinations[name].deliver([self._parcel(delivery) for delivery in deliveries]):
                delivery = waiting.pop(answer.parcel.sop_instance_uid)
                if answer.error is None:
                    self._journal.record_delivered(delivery, answer.note)
                else:
                    self._record_error(delivery, answer.error)
                    failed = failed or answer.error.retryable
            backoff.succeeded(_WAY)
        except DeliveryError as error:
            if error.retryable:
                backoff.failed(_WAY)
            for delivery in waiting.values():
                self._record_error(delivery, error)
            get_logger().warning("destination failed", destination=name, code=error.code)
        (backoff.failed if failed else backoff.succeeded)(case)

    def _record_error(self, delivery: Delivery, error: DeliveryError) -> None:
        record = self._journal.record_failed if error.retryable else self._journal.record_refused
        record(delivery, error.code, str(error))

    def _parcel(self, delivery: Delivery) -> Parcel:
        """Return what is sent; the file itself says how it is encoded (PS3.10 7.1): a label map may be compressed."""
        path = self._state_dir / delivery.path
        return Parcel(
            path=path,
            sop_class_uid=delivery.sop_class_uid,
            sop_instance_uid=delivery.sop_instance_uid,
            transfer_syntax_uid=str(read_file_meta_info(path).TransferSyntaxUID),
        )
