"""One question to an archive by C-FIND (PS3.4 C.4.1), Study Root model, and how its answers are read.

What is asked for, and what an answer says of a patient, is never part of a message.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.domain.identifiers import parse_uid
from node.errors import InvalidIdentifier, PeerUnreachable, RequestFailed
from node.scu.association import Peer

ENCODINGS = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
#: Study Root Query/Retrieve Information Model, FIND (PS3.4 C.6.2).
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_SUCCESS = 0x0000
_PENDING = frozenset({0xFF00, 0xFF01})
#: More answers than this to one question never end.
MOST_ANSWERS = 1_000_000
#: The unique key of each level (PS3.4 C.6.2.1).
_OWN_KEY = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
#: A range of more days than this is asked for at once.
_MOST_DAYS = 36_600
#: A study has some Modality: an archive that answers so does not tell which, or gives the key back as it may be sent.
_UNTOLD = frozenset({"", "*"})
#: What an answer tells of.
_Told = TypeVar("_Told")


def answers(
    peer: Peer, association: Any, level: str, keys: Mapping[str, str], asked_for: Sequence[str] = ()
) -> Iterator[Dataset]:
    """Yield the answers that agree with `keys`: some archives ignore one. `asked_for`: keywords to be told besides.

    Raises PeerUnreachable, or RequestFailed for a failure status, such as too many answers.
    """
    query = _identifier(level, keys, asked_for)
    try:
        for number, (status, answer) in enumerate(association.send_c_find(query, FIND)):
            if "Status" not in status:
                raise PeerUnreachable(f"{peer.who} did not answer a C-FIND")
            if status.Status not in {_SUCCESS, *_PENDING}:
                raise RequestFailed(f"{peer.ae_title} answered a C-FIND with 0x{status.Status:04X}")
            if number >= MOST_ANSWERS:
                association.abort()
                raise RequestFailed(f"{peer.ae_title} does not end its answer to a C-FIND")
            if status.Status in _PENDING and answer is None:
                raise RequestFailed(f"{peer.ae_title} answered a C-FIND with what cannot be read")
            if answer is not None and agrees(answer, keys):
                yield answer
    except RuntimeError as error:  # pynetdicom: the association has ended
        raise PeerUnreachable(f"{peer.who} ended the association") from error


def agrees(answer: Dataset, keys: Mapping[str, str]) -> bool:
    """Say whether an answer is one to `keys`; what it does not tell is not held against it."""
    return all(_holds(keyword, wanted, values_of(answer, keyword)) for keyword, wanted in keys.items())


def values_of(answer: Dataset, keyword: str) -> list[str] | None:
    """Return the values of an element, none where it is blank; None where it is not there or cannot be read."""
    try:
        if keyword not in answer:
            return None
        value = answer[keyword].value
    except (ValueError, TypeError, KeyError, NotImplementedError):
        return None
    several = [value] if isinstance(value, str) or value is None else _listed(value)
    return [str(one).strip(" \0") for one in several if one]


def uid_of(who: str, answer: Dataset, keyword: str) -> str:
    """Return a UID that an answer has to hold; `who` has answered.

    Raises RequestFailed for an answer without the element, InvalidIdentifier for one in which it is no UID.
    """
    if keyword not in answer:
        raise RequestFailed(f"{who} answered a query without a {keyword}")
    return parse_uid(str(answer[keyword].value or ""))


class Reader:
    """Reads answers. One whose UID is none (PS3.5 9.1) is passed over and counted: it must not hide the others."""

    def __init__(self) -> None:
        self._passed_over = 0

    def read(self, told: Iterable[Dataset], made_of: Callable[[Dataset], _Told]) -> Iterator[_Told]:
        """Yield what `made_of` makes of each answer; it raises InvalidIdentifier for one that is passed over."""
        for answer in told:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom's warnings quote element values
                try:
                    made = made_of(answer)
                except InvalidIdentifier:
                    self._passed_over += 1
                    continue
            yield made

    def passed_over(self) -> int:
        """Return how many answers were passed over since this was asked last."""
        count, self._passed_over = self._passed_over, 0
        return count


def spans(first: date | None, last: date | None) -> Iterator[str]:
    """Yield the values of StudyDate to ask for: a day at a time, since archives limit the answers to one question."""
    if first is not None and last is not None and (last - first).days < _MOST_DAYS:
        for number in range((last - first).days + 1):
            yield _written(first + timedelta(days=number))
    elif first is None and last is None:
        yield ""
    else:
        yield f"{_written(first)}-{_written(last)}"


def _identifier(level: str, keys: Mapping[str, str], asked_for: Sequence[str]) -> Dataset:
    query = Dataset()
    if not all(value.isascii() for value in keys.values()):
        query.SpecificCharacterSet = "ISO_IR 192"
    query.QueryRetrieveLevel = level
    query.StudyInstanceUID = ""
    setattr(query, _OWN_KEY[level], "")
    for keyword in asked_for:
        setattr(query, keyword, None)
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def _holds(keyword: str, wanted: str, values: Sequence[str] | None) -> bool:
    if values is None or (keyword == "ModalitiesInStudy" and set(values) <= _UNTOLD):
        return True
    if keyword == "StudyDate":
        first, dash, last = wanted.partition("-")
        return any(first <= value <= ((last or "99999999") if dash else first) for value in values)
    pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
    return any(re.fullmatch(pattern, value, re.IGNORECASE | re.DOTALL) for value in values or ("",))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) else [value]


def _written(day: date | None) -> str:
    return day.strftime("%Y%m%d") if day else ""
