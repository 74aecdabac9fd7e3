"""Looking for series in an archive by C-FIND (PS3.4 C.4.1), Study Root model.

What is asked for, and what an answer says of a patient, is never part of a message.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from node.errors import AssociationRefused, InvalidIdentifier, PeerUnreachable, SettingsError
from node.log import get_logger
from node.scu.association import Peer, associate
from node.scu.query import ENCODINGS, FIND, Reader, answers, spans, uid_of
from node.scu.source import SeriesOfStudy

#: Studies whose series are asked for over one association, before what was found is given out.
_STUDIES_A_TIME = 100
#: Pauses before a question is asked again, in seconds: a search may take hours, and an archive has busy moments.
_PAUSES_S = (2.0, 10.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What to look for; "" and None leave it open. Text may hold the wildcards * and ? (PS3.4 C.2.2.2.4).

    What names a person is not part of its representation, so that no log holds it.
    """

    first_date: date | None = None
    last_date: date | None = None
    modality: str = "MR"
    study_description: str = ""
    series_description: str = ""
    accession_number: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)


def criteria_of(
    *, study_date: str = "", study_description: str = "", series_description: str = "", modality: str = "MR"
) -> Criteria:
    """Return criteria as a command line gives them; `study_date` as "20240131", "20240101-20241231", "20240101-".

    Raises SettingsError for a date that is none.

    >>> criteria_of(study_date="20240101-20240131").last_date
    datetime.date(2024, 1, 31)
    """
    first, dash, last = study_date.replace(" ", "").partition("-")
    if not dash:
        last = first
    criteria = Criteria(
        first_date=_date(first),
        last_date=_date(last),
        modality=modality.upper(),
        study_description=study_description,
        series_description=series_description,
    )
    if criteria.first_date and criteria.last_date and criteria.first_date > criteria.last_date:
        raise SettingsError("a range of study dates ends before it begins")
    return criteria


def find_series(
    peer: Peer, criteria: Criteria, *, pause: Callable[[float], None] = time.sleep
) -> Iterator[SeriesOfStudy]:
    """Yield the series that the peer has by `criteria`: by days where two dates are given, then by UID.

    Studies are asked for first and then the series of each, as an archive without relational queries needs it
    (PS3.4 C.4.1.3.1.1); no association is open while the caller works, and few series are held at a time. An answer
    counts only where it agrees with what was asked for: some archives ignore a key. Descriptions are compared without
    regard to case, and what the archive does not tell of a series is not held against it. What it names by no valid
    UID is passed over, and the number of these is logged.
    A peer that does not answer is asked again, after pauses. Raises what `associate` raises, PeerUnreachable,
    ContextsRefused where the peer takes no query, or RequestFailed for a failure status, such as too many answers.
    """
    search = _Search(peer, criteria)
    while not search.done:
        yield from _patiently(search, pause)


def _patiently(search: "_Search", pause: Callable[[float], None]) -> list[SeriesOfStudy]:
    for wait_s in _PAUSES_S:
        try:
            return search.more()
        except (PeerUnreachable, AssociationRefused):
            pause(wait_s)
    return search.more()


class _Search:
    """What is left to ask."""

    def __init__(self, peer: Peer, criteria: Criteria) -> None:
        self._peer = peer
        self._criteria = criteria
        self._reader = Reader()
        self._spans = deque(spans(criteria.first_date, criteria.last_date))
        self._studies: deque[str] = deque()

    @property
    def done(self) -> bool:
        """Say whether everything has been asked."""
        return not (self._spans or self._studies)

    def more(self) -> list[SeriesOfStudy]:
        """Return the next series, over one association. After an error the same question is next."""
        found: list[SeriesOfStudy] = []
        with associate(self._peer, [(FIND, ENCODINGS)]) as association:
            while not (found or self.done):
                if not self._studies:
                    self._studies.extend(self._studies_of(association, self._spans[0]))
                    self._spans.popleft()
                asked = [self._studies[number] for number in range(min(len(self._studies), _STUDIES_A_TIME))]
                found = [series for study in asked for series in self._series_of(association, study)]
                for _ in asked:
                    self._studies.popleft()
        if count := self._reader.passed_over():
            who = self._peer.ae_title
            get_logger().warning("answers passed over", archive=who, code=InvalidIdentifier.code, answers=count)
        return found

    def _studies_of(self, association: Any, dates: str) -> list[str]:
        """Return the Study Instance UIDs of a range of dates, sorted."""
        criteria = self._criteria
        keys = {
            "StudyDate": dates,
            "ModalitiesInStudy": criteria.modality,
            "StudyDescription": criteria.study_description,
            "AccessionNumber": criteria.accession_number,
            "PatientID": criteria.patient_id,
        }
        found = answers(self._peer, association, "STUDY", {key: value for key, value in keys.items() if value})
        return self._uids(found, "StudyInstanceUID")

    def _series_of(self, association: Any, study_uid: str) -> list[SeriesOfStudy]:
        keys = {"Modality": self._criteria.modality, "SeriesDescription": self._criteria.series_description}
        asked = {"StudyInstanceUID": study_uid} | {key: value for key, value in keys.items() if value}
        found = answers(self._peer, association, "SERIES", asked)
        return [SeriesOfStudy(study_uid, uid) for uid in self._uids(found, "SeriesInstanceUID")]

    def _uids(self, found: Iterator[Dataset], keyword: str) -> list[str]:
        return sorted(set(self._reader.read(found, lambda answer: uid_of(self._peer.ae_title, answer, keyword))))


def _date(text: str) -> date | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{8}", text):
        raise SettingsError("a study date is eight digits, such as 20240131, or two of them with a hyphen between")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise SettingsError("a study date that is no day of the calendar") from None
