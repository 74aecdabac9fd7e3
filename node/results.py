"""The results of the live node on the disk, a folder for each claim of a case, before the journal is told of them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from node.domain.case import EncodedObject, ObjectKind, OnReject, Reason, ResultObject
from node.domain.findings import Quality, Verdict
from node.journal.cases import Claim
from node.output.folder import write_case
from node.output.manifest import CaseManifest, ManifestObject, write_manifest
from node.pipeline import CaseResult
from node.settings import RouteSettings, Settings

_RESULTS = "results"

#: What is sent first stands first.
_SENT = (ObjectKind.SEGMENTATION, ObjectKind.REPORT, ObjectKind.KEY_IMAGE)


class Results:
    """The folders of results within the state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def keep(self, claim: Claim, result: CaseResult, route: RouteSettings) -> tuple[ResultObject, ...]:
        """Write the results of a claim; on return they are on the disk, the manifest last.

        Returns the objects in the order in which they are sent, pictures after what they show; their paths are relative
        to the state folder. Raises OSError.
        """
        folder = _folder(claim)
        whole = self._settings.node.state_dir / folder
        objects = tuple(
            ResultObject(
                kind=made.kind,
                sop_class_uid=made.sop_class_uid,
                sop_instance_uid=made.sop_instance_uid,
                path=folder / made.name,
                digest=made.digest,
                destinations=self._takers(made, route),
            )
            for made in sorted(result.objects, key=lambda made: _SENT.index(made.kind))
        )
        try:
            write_case(
                whole,
                objects=result.contents(),
                document=result.document,
                measurements=result.measurements,
                overlay=result.overlay,
            )
            write_manifest(whole, _manifest(claim, objects))
        except OSError:
            shutil.rmtree(whole, ignore_errors=True)  # half of it would only fill a full disk further
            raise
        return objects

    def drop(self, claim: Claim) -> None:
        """Delete what a claim wrote that turned out to be lost. Raises OSError."""
        shutil.rmtree(self._settings.node.state_dir / _folder(claim))

    def _takers(self, made: EncodedObject, route: RouteSettings) -> tuple[str, ...]:
        """Return the destinations of the route that take an object of this form."""
        taking = {peer.name for peer in self._settings.destination if peer.wanted in made.wanted}
        return tuple(name for name in route.destinations if name in taking)


def doubts(quality: Quality, on_reject: OnReject) -> tuple[Reason, ...]:
    """Return what speaks against using a result, as it stands in the journal; nothing of a good one."""
    withheld = Reason(code="withheld", text="the route sends nothing of a result that is not to be used")
    told = (withheld,) if quality.verdict is Verdict.REJECT and on_reject is OnReject.NOTHING else ()
    objections = (
        Reason(code=objection.doubt.value, text=f"{objection.verdict.value}: {objection.text}")
        for objection in quality.objections
        if objection.verdict is not Verdict.GOOD
    )
    return (*told, *objections)


def _folder(claim: Claim) -> Path:
    return Path(_RESULTS) / f"{claim.case_id:08d}-{claim.number}"


def _manifest(claim: Claim, objects: Sequence[ResultObject]) -> CaseManifest:
    return CaseManifest(
        series_uid=claim.series_uid,
        study_uid=claim.study_uid,
        revision=claim.revision,
        set_digest=claim.set_digest,
        partial=claim.partial,
        route=claim.route,
        created_at=claim.created_at,
        objects=tuple(
            ManifestObject(
                kind=made.kind,
                sop_class_uid=made.sop_class_uid,
                sop_instance_uid=made.sop_instance_uid,
                name=made.path.name,
                digest=made.digest,
                destinations=made.destinations,
            )
            for made in objects
        ),
    )
