"""Coding schemes that a result has to identify, since a receiver may not know their designator."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dicom_sr.codes.private import PRIVATE_SCHEME
from dicom_sr.identity import derive_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class CodingScheme:
    """An item of Coding Scheme Identification Sequence (0008,0110), PS3.3 table C.12-1.

    `registry`: where the UID is registered, None for a private scheme.
    """

    designator: str
    uid: str
    name: str
    responsible_organization: str
    registry: str | None = None


#: By Coding Scheme Designator. The UID of FMA is the one of PS3.16 table 8-1.
CODING_SCHEMES: Final[Mapping[str, CodingScheme]] = MappingProxyType(
    {
        scheme.designator: scheme
        for scheme in (
            CodingScheme(
                designator=PRIVATE_SCHEME,
                uid=derive_uid("coding scheme", PRIVATE_SCHEME),
                name="Codes of the cspine-node project",
                responsible_organization="cspine-node project",
            ),
            CodingScheme(
                designator="FMA",
                uid="2.16.840.1.113883.6.119",
                name="Foundational Model of Anatomy",
                responsible_organization="University of Washington",
                registry="HL7",
            ),
        )
    }
)
