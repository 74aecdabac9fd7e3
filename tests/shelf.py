"""An archive in memory, for pulls."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pullrig import part10
from pydicom import Dataset
from wired import data_set_begins

from node.domain.listing import ListedInstance, ListedSeries, ListedStudy
from node.pull.door import Door
from node.pull.gaps import Gap
from node.receive.spool import StoreRequest
from node.scu.catalogue import instance_of, series_of, study_of
from node.scu.query import Reader
from node.scu.source import SeriesOfStudy


class Shelf:
    """An archive in memory. `holds` back instances by UID; `faults` by series UID are raised instead of sending."""

    def __init__(self, data_sets: Sequence[Dataset]) -> None:
        self.data_sets = list(data_sets)
        self.asked: list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = []
        self.fetched: list[str] = []
        self.held_back: set[str] = set()
        self.faults: dict[str, Exception] = {}
        #: Raised instead of an answer to a question.
        self.fault: Exception | None = None
        #: Called before something is sent.
        self.before: Callable[[], None] = lambda: None
        self.hung_up = threading.Event()
        self.reader = Reader()

    def studies(
        self, dates: Sequence[str], modalities: Sequence[str], study_uids: Sequence[str] = ()
    ) -> Sequence[ListedStudy]:
        self.asked.append((tuple(dates), tuple(modalities), tuple(study_uids)))
        if self.fault is not None:
            raise self.fault
        asked = [
            one
            for one in self.data_sets
            if (one.StudyInstanceUID in study_uids if study_uids else one.StudyDate in dates)
        ]
        found = {study.study_uid: study for study in self.reader.read(asked, partial(study_of, "SHELF"))}
        return [found[uid] for uid in sorted(found)]

    def series(self, studies: Sequence[ListedStudy]) -> Sequence[ListedSeries]:
        found = []
        for study in studies:
            one_each = {one.SeriesInstanceUID: one for one in self.data_sets if one.StudyInstanceUID == study.study_uid}
            found += self.reader.read(one_each.values(), partial(series_of, "SHELF", study))
        return found

    def instances(self, series: Sequence[SeriesOfStudy]) -> Mapping[str, tuple[ListedInstance, ...]]:
        found = {}
        for asked in series:
            of_series = [one for one in self.data_sets if one.SeriesInstanceUID == asked.series_uid]
            found[asked.series_uid] = tuple(self.reader.read(of_series, partial(instance_of, "SHELF")))
        return found

    def passed_over(self) -> int:
        return self.reader.passed_over()

    def fetch(self, series: SeriesOfStudy, gap: Gap, door: Door) -> str:
        self.fetched.append(series.series_uid)
        self.before()
        if series.series_uid in self.faults:
            raise self.faults[series.series_uid]
        wanted = {instance.sop_instance_uid for instance in gap.wanted} - self.held_back
        with door.opened() as take:
            for one in self.data_sets:
                if one.SOPInstanceUID in wanted:
                    content = part10(one)
                    request = StoreRequest(
                        sop_class_uid=one.SOPClassUID,
                        sop_instance_uid=one.SOPInstanceUID,
                        transfer_syntax_uid=one.file_meta.TransferSyntaxUID,
                        calling_ae="SHELF",
                    )
                    take(request, content[data_set_begins(content) :])
        return ""

    def hang_up(self) -> None:
        self.hung_up.set()
