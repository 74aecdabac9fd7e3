"""Peers, destinations, and who is told: each is asked whether it is there and takes what it will be given.

Nothing is stored anywhere: of an archive it is asked which classes it would accept, a folder is tried with a file that
has no name.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.deliver.build import destination_of, peer_of
from node.doctor.finding import Finding, fault, fine
from node.domain.case import ReportForm, SegmentationForm, Wanted
from node.errors import (
    AssociationRefused,
    ContextsRefused,
    DestinationMisconfigured,
    NodeError,
    PeerUnreachable,
    SettingsError,
)
from node.notify.notifier import channel_of
from node.scu.association import Peer, associate, echo
from node.settings import (
    DestinationSettings,
    DicomDestination,
    FolderDestination,
    NotifySettings,
    PeerSettings,
    Section,
    Settings,
    StowDestination,
)
from node.settings.values import CREDENTIAL

#: Seconds that one answer may take here, whatever the settings allow for work.
_PATIENCE_S = 10.0
_AT_A_TIME = 8
_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
#: Label Map Segmentation Storage (PS3.6 A), younger than pydicom's table.
_LABEL_MAP = UID("1.2.840.10008.5.1.4.1.1.66.7")
_SEGMENTATIONS: Mapping[SegmentationForm, UID] = {
    SegmentationForm.BINARY: SegmentationStorage,
    SegmentationForm.FRACTIONAL: SegmentationStorage,
    SegmentationForm.LABELMAP: _LABEL_MAP,
}
_REPORTS: Mapping[ReportForm, UID] = {
    ReportForm.COMPREHENSIVE_3D: Comprehensive3DSRStorage,
    ReportForm.COMPREHENSIVE: ComprehensiveSRStorage,
    ReportForm.ENHANCED: EnhancedSRStorage,
}
_INSTEAD: Mapping[UID, str] = {
    _LABEL_MAP: 'segmentation = "binary"',
    Comprehensive3DSRStorage: 'report = "comprehensive"',
    ComprehensiveSRStorage: 'report = "enhanced"',
    SecondaryCaptureImageStorage: "key_images = false",
}
_CONFIRMED_BY: Mapping[str, Sequence[UID]] = {
    "none": (),
    "query": (StudyRootQueryRetrieveInformationModelFind,),
    "commitment": (StorageCommitmentPushModel,),
}


def look(settings: Settings) -> Iterator[Finding]:
    """Yield the finding of each peer, each destination and each who is told; they are asked at once, told in order."""
    asked: list[Callable[[], Iterator[Finding]]] = [
        *(partial(_peer, peer, settings) for peer in settings.peer if peer.host and peer.port),
        *(partial(_destination, destination, settings) for destination in settings.destination),
        *(partial(_told, whom) for whom in settings.notify),
    ]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from chain.from_iterable(pool.map(lambda ask: list(ask()), asked))


def _peer(settings: PeerSettings, whole: Settings) -> Iterator[Finding]:
    area = f"peer {settings.ae_title}"
    if has_credential(settings):
        yield _not_asked(area)
        return
    peer = _patient(peer_of(settings, whole.node))
    asked = [(StudyRootQueryRetrieveInformationModelFind, "ask_count = false")] if settings.ask_count else []
    if settings.ask_missing:
        asked.append((StudyRootQueryRetrieveInformationModelMove, "ask_missing = false"))
    yield from _dicom(area, peer, [*asked, *_pulled(settings.ae_title, whole)])


def _destination(settings: DestinationSettings, whole: Settings) -> Iterator[Finding]:
    area = f"destination {settings.name}"
    if has_credential(settings):
        yield _not_asked(area)
    elif isinstance(settings, DicomDestination):
        needed = [(uid, _INSTEAD.get(uid, "")) for uid in storage_classes(settings.wanted)]
        needed += [(uid, 'confirm = "none"') for uid in _CONFIRMED_BY[settings.confirm]]
        needed += _pulled(settings.name, whole)
        yield from _dicom(area, _patient(peer_of(settings, whole.node)), needed)
    elif isinstance(settings, FolderDestination):
        yield _folder(area, settings, whole)
    else:
        yield _dicomweb(area, settings, whole)


def _dicomweb(area: str, settings: StowDestination, whole: Settings) -> Finding:
    hasty = settings.model_copy(update={"timeout_s": min(settings.timeout_s, _PATIENCE_S)})
    try:
        destination_of(hasty, whole.node).reach()
    except NodeError as error:
        return fault(area, f"{error.code}: {error}", advice_on(error, whole.node.ae_title))
    return fine(area, "answers QIDO-RS")


def _folder(area: str, settings: FolderDestination, whole: Settings) -> Finding:
    try:
        destination_of(settings, whole.node).reach()
        with tempfile.TemporaryFile(dir=settings.path) as file:
            file.write(b"doctor")
            file.flush()
    except PeerUnreachable as error:
        return fault(area, str(error), "mount the share, or make the folder: the node makes none in its place")
    except DestinationMisconfigured as error:
        return fault(area, str(error), "let the user of the node write there")
    except OSError as error:
        return fault(area, f"{settings.path}: {error.strerror}", "let the user of the node write there; is it full?")
    return fine(area, f"{settings.path} can be written")


def _told(whom: NotifySettings) -> Iterator[Finding]:
    area = f"notify {whom.name}"
    if has_credential(whom):
        yield _not_asked(area)
        return
    try:
        channel_of(whom.model_copy(update={"timeout_s": min(whom.timeout_s, _PATIENCE_S)})).reach()
    except NodeError as error:
        yield fault(area, f"{error.code}: {error}", "mend [[notify]], then: cspine-node notify test")
        return
    yield fine(area, "is there; cspine-node notify test sends something")


def has_credential(section: Section) -> bool:
    """Return whether a section needs a secret that only a service of systemd is given."""
    return any(
        str(value).startswith(CREDENTIAL) if isinstance(value, Path) else has_credential(value)
        for _, value in section
        if isinstance(value, Path | Section)
    )


def _not_asked(area: str) -> Finding:
    return fine(area, "was not asked: its secret comes from systemd when the service starts, and is not known here")


def storage_classes(wanted: Wanted) -> tuple[UID, ...]:
    """Return the storage classes of what a destination takes."""
    pictures = (SecondaryCaptureImageStorage,) if wanted.key_images else ()
    return (_SEGMENTATIONS[wanted.segmentation], _REPORTS[wanted.report], *pictures)


def _pulled(archive: str, settings: Settings) -> list[tuple[UID, str]]:
    """Return what pulls ask of an archive, with what would do instead."""
    asked: list[tuple[UID, str]] = []
    for pull in settings.pull:
        if pull.archive == archive:
            asked.append((StudyRootQueryRetrieveInformationModelFind, ""))
            if pull.retrieve == "get":
                asked.append((StudyRootQueryRetrieveInformationModelGet, 'retrieve = "move" of the [[pull]]'))
            else:
                asked.append((StudyRootQueryRetrieveInformationModelMove, 'retrieve = "get" of the [[pull]]'))
    return asked


def _patient(peer: Peer) -> Peer:
    return replace(peer, timeout_s=min(peer.timeout_s, _PATIENCE_S))


def _dicom(area: str, peer: Peer, needed: Sequence[tuple[UID, str]]) -> Iterator[Finding]:
    """Send a C-ECHO, then ask which of the services that are `needed` it accepts; each with what would do instead."""
    try:
        echo(peer)
        accepted = accepted_of(peer, [uid for uid, _ in needed])
    except NodeError as error:
        yield fault(area, f"{error.code}: {error}", advice_on(error, peer.calling_ae_title))
        return
    yield fine(area, f"{peer.who} answers C-ECHO")
    for uid, instead in dict(needed).items():
        if uid not in accepted:
            yield fault(
                area,
                f"{peer.ae_title} does not accept {uid.name}",
                f"allow it there for {peer.calling_ae_title}{f'; or here {instead}' if instead else ''}",
            )


def accepted_of(peer: Peer, wanted: Sequence[UID]) -> frozenset[UID]:
    """Return which SOP Classes a peer accepts (PS3.8 7.1.1.13); nothing is sent. Raises what `associate` raises."""
    if not wanted:
        return frozenset()
    try:
        with associate(peer, [(uid, _SYNTAXES) for uid in dict.fromkeys(wanted)]) as association:
            return frozenset(UID(context.abstract_syntax) for context in association.accepted_contexts)
    except ContextsRefused:
        return frozenset()


def advice_on(error: NodeError, ae_title: str) -> str:
    """Return what to do about an error of the way to a peer; `ae_title`: the node's own."""
    if isinstance(error, ContextsRefused):
        return f"allow Verification and storage there for {ae_title}"
    if isinstance(error, AssociationRefused):
        return "it is busy, or has no room: its own log says which; the node tries again by itself"
    if isinstance(error, SettingsError):
        return "mend the settings: cspine-node check-config"
    if isinstance(error, DestinationMisconfigured):
        return _on_misconfigured(str(error), ae_title)
    if isinstance(error, PeerUnreachable):
        return _on_unreachable(str(error))
    return "its own log says why it answered so"


def _on_unreachable(text: str) -> str:
    if "not known" in text:
        return "is the name right? getent hosts NAME tells whether this machine knows it"
    return "is it running, are host and port right, does a firewall stand between? nc -vz HOST PORT tries from here"


def _on_misconfigured(text: str, ae_title: str) -> str:
    if "calling AE title" in text:
        return f"register {ae_title} there, with the address of this machine"
    if "called AE title" in text:
        return "ae_title in the settings is not the one of the peer"
    if "TLS failed" in text or text.startswith("tls"):
        return (
            "authorities must have signed its certificate, and it ours: openssl s_client -connect HOST:PORT -showcerts"
        )
    return f"it rejects who we are: look at credentials and rights there, and at what it knows of {ae_title}"
