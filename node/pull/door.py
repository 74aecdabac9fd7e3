"""The door through which everything comes in that the node fetches itself: the one that a C-STORE takes.

Spool, journal and completeness see no difference: a retrieval is an association that carried a series.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from node.receive.server.storage import Storage
from node.receive.spool import StoreRequest
from node.receive.traffic import Ending

#: Takes one instance, whose data set comes encoded; returns the status of the C-STORE that it could have been.
Take = Callable[[StoreRequest, bytes | memoryview], int]


class Door:
    """Takes what was fetched. Safe to use from several threads, each with a retrieval of its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        #: Below 0, since the listener counts its associations from 1.
        self._numbers = itertools.count(-1, -1)

    @contextmanager
    def opened(self) -> Iterator[Take]:
        """Give what takes the instances of one retrieval; an error out of the block counts as an abort."""
        number, traffic = next(self._numbers), self._storage.traffic
        traffic.opened(number)
        ending = Ending.ABORTED
        try:
            yield lambda request, data_set: self._take(number, request, data_set)
            ending = Ending.RELEASED
        finally:
            traffic.ended(number, ending)

    def _take(self, number: int, request: StoreRequest, data_set: bytes | memoryview) -> int:
        reception = self._storage.begin(request, number)
        try:
            reception.write(data_set)
            return reception.end()
        finally:
            reception.drop()
