"""An archive that is asked by QIDO-RS and sends by WADO-RS (PS3.18 10.6 and 10.4), one request an instance."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import requests
from pydicom.dataset import Dataset

from node.deliver.stow.answers import NOT_FOUND, response_of
from node.deliver.stow.session import Client, Connections, Line, connected, host_of
from node.domain.listing import ListedInstance, ListedSeries, ListedStudy
from node.errors import NotDicom, PeerUnreachable, RequestFailed
from node.pull.door import Door, Take
from node.pull.gaps import Gap
from node.receive.headers import read_file_meta
from node.receive.spool import StoreRequest
from node.scu.catalogue import OF_SERIES, OF_STUDY, by_uid, instance_of, series_of, study_of
from node.scu.query import Reader, agrees
from node.scu.source import SeriesOfStudy
from node.settings import StowDestination

#: Matches of one answer: servers limit them, and say so in a header that not all of them send.
_PAGE = 500
#: More pages than this never end.
_MOST_PAGES = 2000
#: What pydicom raises for what is no DICOM JSON (PS3.18 F).
_UNPARSEABLE = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError)
#: Asks for one page of a search: (client, limit=, offset=) -> DICOM JSON.
_Search = Callable[..., Sequence[Any]]


class DicomwebArchive:
    """A DICOMweb server. `silence_s`: how long it may be silent while it sends; `most_bytes`: of one instance."""

    def __init__(
        self,
        settings: StowDestination,
        *,
        silence_s: float,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        #: An archive may be silent for long while it reads a series from its tapes.
        self._retrieving = settings.model_copy(update={"timeout_s": silence_s})
        self._who = host_of(settings)
        self._most_bytes = most_bytes
        self._clock = clock
        self._connections = Connections()
        self._reader = Reader()

    def studies(
        self, dates: Sequence[str], modalities: Sequence[str], study_uids: Sequence[str] = ()
    ) -> Sequence[ListedStudy]:
        """Ask for studies. Raises PeerUnreachable, DestinationMisconfigured or RequestFailed, and so below."""
        questions = [{"StudyInstanceUID": uid} for uid in study_uids] or [
            {"StudyDate": day, "ModalitiesInStudy": modality} for day in dates for modality in modalities
        ]
        found: dict[str, ListedStudy] = {}
        with connected(self._settings, self._connections) as line:
            for keys in questions:
                search = partial(Client.search_for_studies, search_filters=keys, fields=OF_STUDY)
                for study in self._reader.read(self._all(line, search, keys), partial(study_of, self._who)):
                    found[study.study_uid] = study
        return [found[uid] for uid in sorted(found)]

    def series(self, studies: Sequence[ListedStudy]) -> Sequence[ListedSeries]:
        """Ask for the series of `studies`."""
        found: list[ListedSeries] = []
        with connected(self._settings, self._connections) as line:
            for study in studies:
                keys = {"StudyInstanceUID": study.study_uid}
                search = partial(Client.search_for_series, study_instance_uid=study.study_uid, fields=OF_SERIES)
                of_study = self._reader.read(self._all(line, search, keys), partial(series_of, self._who, study))
                found += sorted({series.series_uid: series for series in of_study}.values(), key=by_uid)
        return found

    def instances(self, series: Sequence[SeriesOfStudy]) -> Mapping[str, tuple[ListedInstance, ...]]:
        """Ask for the instances of `series`."""
        found: dict[str, tuple[ListedInstance, ...]] = {}
        with connected(self._settings, self._connections) as line:
            for one in series:
                keys = {"StudyInstanceUID": one.study_uid, "SeriesInstanceUID": one.series_uid}
                search = partial(
                    Client.search_for_instances,
                    study_instance_uid=one.study_uid,
                    series_instance_uid=one.series_uid,
                    fields=("SOPClassUID",),
                )
                read = self._reader.read(self._all(line, search, keys), partial(instance_of, self._who))
                found[one.series_uid] = tuple(sorted(set(read)))
        return found

    def passed_over(self) -> int:
        """Return how many answers have named what they tell of by no valid UID."""
        return self._reader.passed_over()

    def fetch(self, series: SeriesOfStudy, gap: Gap, door: Door) -> str:
        """Take one instance after the other, as the server keeps it."""
        with connected(self._retrieving, self._connections) as line, door.opened() as take:
            statuses = {self._take(line, series, instance, take) for instance in gap.wanted} - {0}
        return "; ".join(f"refused here with 0x{status:04X}" for status in sorted(statuses))

    def hang_up(self) -> None:
        """End its connections."""
        self._connections.end()

    def _take(self, line: Line, series: SeriesOfStudy, instance: ListedInstance, take: Take) -> int:
        path = f"/studies/{series.study_uid}/series/{series.series_uid}/instances/{instance.sop_instance_uid}"
        began_s = self._clock()

        def look(size: int) -> None:
            if self._clock() - began_s > line.patience_s(size):
                raise PeerUnreachable(f"{self._who} sends an instance too slowly")

        with line.contained():
            try:
                content = line.client().retrieve_file(path, self._most_bytes, look)
            except requests.HTTPError as error:
                if response_of(error).status_code in NOT_FOUND:
                    raise RequestFailed(f"{self._who} does not have an instance that it has named") from None
                raise
        try:
            syntax, begins = read_file_meta(lambda offset, size: content[offset : offset + size])
        except NotDicom as error:
            raise RequestFailed(f"{self._who} answered with what is no DICOM file") from error
        request = StoreRequest(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=syntax,
            calling_ae=self._settings.name[:16],
        )
        return take(request, memoryview(content)[begins:])

    def _all(self, line: Line, search: _Search, keys: Mapping[str, str]) -> Iterator[Dataset]:
        """Yield every match, page by page; a server that ignores the offset repeats itself and is heard once."""
        before: Any = None
        for page in range(_MOST_PAGES):
            told = self._page(line, search, page)
            if not told or told == before:
                return
            yield from (answer for answer in map(self._data_set, told) if agrees(answer, keys))
            if len(told) < _PAGE:
                return
            before = told
        raise RequestFailed(f"{self._who} does not end its answer to a query")

    def _page(self, line: Line, search: _Search, page: int) -> Sequence[Any]:
        with line.contained():
            try:
                return search(line.client(), limit=_PAGE, offset=page * _PAGE)
            except requests.HTTPError as error:
                if response_of(error).status_code in NOT_FOUND:
                    return []
                raise

    def _data_set(self, item: Any) -> Dataset:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote element values
            try:
                return Dataset.from_json(item)
            except _UNPARSEABLE:
                raise RequestFailed(f"{self._who} answered a query with what is no DICOM JSON") from None
