"""The presentation contexts that are offered to one caller, built when it asks for an association (PS3.8 7.1.1.13)."""

from collections.abc import Iterable
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
    uid_to_service_class,
)

from node.receive.admission import Grant
from node.receive.headers import DEFLATED

_PREFERRED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


def offered(proposed: Iterable[Any], grant: Grant) -> list[Any]:
    """Return what the node takes of the proposed contexts: any storage class in any encoding but a deflated one.

    Storage commitment is offered in both roles (PS3.7 D.3.3.4): a modality asks, an archive reports.
    """
    contexts = [build_context(Verification)]
    if grant.commit or grant.report:
        commitment = build_context(StorageCommitmentPushModel)
        commitment.scu_role = commitment.scp_role = True
        contexts.append(commitment)
    if grant.store:
        contexts += _storage(proposed)
    return contexts


def is_storage(abstract_syntax: str) -> bool:
    """Say whether an abstract syntax is a SOP Class of the Storage Service Class (PS3.4 B.5)."""
    return uid_to_service_class(abstract_syntax) is StorageServiceClass


def _storage(proposed: Iterable[Any]) -> list[Any]:
    syntaxes: dict[str, list[str]] = {}
    for context in proposed:
        abstract = str(context.abstract_syntax)
        if is_storage(abstract):
            syntaxes.setdefault(abstract, []).extend(str(uid) for uid in context.transfer_syntax)
    contexts = []
    for abstract, known in syntaxes.items():
        allowed = [uid for uid in dict.fromkeys((*_PREFERRED, *known)) if uid in known and uid not in DEFLATED]
        if allowed:
            contexts.append(build_context(abstract, allowed))
    return contexts
