"""What an archive has, level by level, by C-FIND (PS3.4 C.4.1): studies, then their series, then the instances.

An archive without relational queries needs it so (PS3.4 C.4.1.3.1.1). Little is asked for as a key and much is told in
the answer: wildcards mean different things to different archives. No association is open between two questions.
"""

from collections.abc import Sequence
from functools import partial

from pydicom.dataset import Dataset

from node.domain.listing import TOLD, ListedInstance, ListedSeries, ListedStudy, study_begun
from node.domain.series import SeriesHeader
from node.scu.association import Peer, associate
from node.scu.query import ENCODINGS, FIND, Reader, answers, uid_of, values_of
from node.scu.source import SeriesOfStudy

_COUNT = "NumberOfSeriesRelatedInstances"
#: What is to be told of each study, and of each series.
OF_STUDY = ("StudyDate", "StudyTime", "StudyDescription", "ModalitiesInStudy")
OF_SERIES = ("Modality", "SeriesDescription", "ProtocolName", "BodyPartExamined", "ManufacturerModelName", _COUNT)
#: Blank in an answer, these are untold: a Modality is never blank in the series itself (PS3.3 C.7.3.1), and the others
#: are kept by few archives.
_NEVER_BLANK = frozenset({"Modality", "ProtocolName", "BodyPartExamined"})
#: No series has more instances; a larger number is no answer.
_MOST_INSTANCES = 1_000_000


class Catalogue:
    """The catalogue of one archive. Every method opens one association, and raises what `associate` raises,
    PeerUnreachable, ContextsRefused where the peer takes no query, or RequestFailed for a failure status.

    `reader` counts what is passed over, since its UID is none.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.reader = Reader()

    def studies(
        self, dates: Sequence[str], modalities: Sequence[str], study_uids: Sequence[str] = ()
    ) -> list[ListedStudy]:
        """Return the studies of any of `dates` (DA or a range of two) and `modalities`, or else those that are named,
        by UID.
        """
        questions = [{"StudyInstanceUID": uid} for uid in study_uids] or [
            {"StudyDate": day, "ModalitiesInStudy": modality} for day in dates for modality in modalities
        ]
        found: dict[str, ListedStudy] = {}
        with associate(self._peer, [(FIND, ENCODINGS)]) as association:
            for keys in questions:
                told = answers(self._peer, association, "STUDY", keys, [k for k in OF_STUDY if k not in keys])
                for study in self.reader.read(told, partial(study_of, self._peer.ae_title)):
                    found[study.study_uid] = study
        return [found[uid] for uid in sorted(found)]

    def series(self, studies: Sequence[ListedStudy]) -> list[ListedSeries]:
        """Return the series of `studies`, in their order and then by UID."""
        found: list[ListedSeries] = []
        with associate(self._peer, [(FIND, ENCODINGS)]) as association:
            for study in studies:
                keys = {"StudyInstanceUID": study.study_uid}
                told = answers(self._peer, association, "SERIES", keys, OF_SERIES)
                of_study = self.reader.read(told, partial(series_of, self._peer.ae_title, study))
                found += sorted({series.series_uid: series for series in of_study}.values(), key=by_uid)
        return found

    def instances(self, series: Sequence[SeriesOfStudy]) -> dict[str, tuple[ListedInstance, ...]]:
        """Return the instances of `series`, by series UID and then in the order of their UIDs."""
        found: dict[str, tuple[ListedInstance, ...]] = {}
        with associate(self._peer, [(FIND, ENCODINGS)]) as association:
            for one in series:
                keys = {"StudyInstanceUID": one.study_uid, "SeriesInstanceUID": one.series_uid}
                told = answers(self._peer, association, "IMAGE", keys, ("SOPClassUID",))
                read = self.reader.read(told, partial(instance_of, self._peer.ae_title))
                found[one.series_uid] = tuple(sorted(set(read)))
        return found


def by_uid(series: ListedSeries) -> str:
    """Return by what series are sorted."""
    return series.series_uid


def study_of(who: str, answer: Dataset) -> ListedStudy:
    """Return a study as an answer tells of it; `who` has answered. Raises what `uid_of` raises, and so below."""
    return ListedStudy(
        study_uid=uid_of(who, answer, "StudyInstanceUID"),
        begun=study_begun(_first(answer, "StudyDate") or "", _first(answer, "StudyTime") or ""),
        description=_first(answer, "StudyDescription"),
        description_told=values_of(answer, "StudyDescription") is not None,
    )


def series_of(who: str, study: ListedStudy, answer: Dataset) -> ListedSeries:
    """Return a series of `study` as an answer tells of it."""
    untold = {keyword for keyword in TOLD if not _is_told(answer, keyword)} - {"StudyDescription"}
    if not study.description_told:
        untold.add("StudyDescription")
    return ListedSeries(
        study_uid=study.study_uid,
        series_uid=uid_of(who, answer, "SeriesInstanceUID"),
        header=SeriesHeader(
            modality=_first(answer, "Modality"),
            study_description=study.description,
            series_description=_first(answer, "SeriesDescription"),
            protocol_name=_first(answer, "ProtocolName"),
            body_part_examined=_first(answer, "BodyPartExamined"),
        ),
        untold=frozenset(untold),
        instances=_number(answer),
        model_name=_first(answer, "ManufacturerModelName"),
        begun=study.begun,
    )


def instance_of(who: str, answer: Dataset) -> ListedInstance:
    """Return an instance as an answer tells of it."""
    return ListedInstance(uid_of(who, answer, "SOPInstanceUID"), _first(answer, "SOPClassUID") or "")


def _is_told(answer: Dataset, keyword: str) -> bool:
    """Say whether an answer tells an element: some archives answer what they do not know with a blank."""
    values = values_of(answer, keyword)
    return values is not None and (keyword not in _NEVER_BLANK or any(values))


def _first(answer: Dataset, keyword: str) -> str | None:
    """Return a value as the file's own header would have it: several are joined, blank is None."""
    values = values_of(answer, keyword)
    return "\\".join(value.strip() for value in values).strip() or None if values else None


def _number(answer: Dataset) -> int | None:
    try:
        number = int(_first(answer, _COUNT) or "")
    except ValueError:
        return None
    return number if 0 < number <= _MOST_INSTANCES else None
