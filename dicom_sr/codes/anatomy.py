"""Structures of the spine: vertebrae, discs, and levels named by a disc.

Unless said otherwise a code stands in the DICOM Content Mapping Resource.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydicom.sr.coding import Code

#: CID 7150 Segmentation Property Categories.
ANATOMICAL_STRUCTURE: Final = Code("91723000", "SCT", "Anatomical Structure")

#: Body of any vertebra, without the posterior elements. Not in a context group of PS3.16, whose CID 7603 codes mean
#: whole vertebrae. Seen as "Structure of body of vertebra (body structure)" in HL7 FHIR mCODE's Radiotherapy Treatment
#: Location value set (from AAPM TG-263) and as "Vertebral body" in TotalSegmentator's SNOMED table.
VERTEBRAL_BODY: Final = Code("3572006", "SCT", "Vertebral body")

#: Any intervertebral disc; CID 7604 holds named discs only. From the Foundational Model of Anatomy, a scheme of PS3.16
#: table 8-1: FMA 10446 is "Intervertebral disk" in BodyParts3D 4.3 and in the cross-reference of UBERON:0001066.
#: The SNOMED CT code that circulates for it could not be traced to a dependable public source.
INTERVERTEBRAL_DISC: Final = Code("10446", "FMA", "Intervertebral disk")

#: CID 4031 Common Anatomic Regions.
CERVICAL_SPINE: Final = Code("122494005", "SCT", "Cervical spine")


def _table(ending: str, values: Mapping[str, str]) -> Mapping[str, Code]:
    return MappingProxyType({level: Code(value, "SCT", ending.format(level)) for level, value in values.items()})


#: CID 7603 Vertebrae, by level "C1" to "L5". The codes mean the whole vertebra.
VERTEBRAE: Final = _table(
    "{} vertebra",
    {
        "C1": "14806007",
        "C2": "39976000",
        "C3": "113205007",
        "C4": "5329002",
        "C5": "36978003",
        "C6": "36054005",
        "C7": "87391001",
        "T1": "64864005",
        "T2": "53733008",
        "T3": "1626008",
        "T4": "73071006",
        "T5": "56401006",
        "T6": "45296009",
        "T7": "62487009",
        "T8": "11068009",
        "T9": "82687006",
        "T10": "7610001",
        "T11": "12989004",
        "T12": "23215003",
        "L1": "66794005",
        "L2": "14293000",
        "L3": "36470004",
        "L4": "11994002",
        "L5": "49668003",
    },
)

#: CID 7604 Intervertebral Discs, by the vertebrae above and below: "C2/C3" to "L5/S1".
DISCS: Final = _table(
    "{} disc",
    {
        "C2/C3": "1078209008",
        "C3/C4": "58820006",
        "C4/C5": "49400002",
        "C5/C6": "73959003",
        "C6/C7": "75095006",
        "C7/T1": "37414007",
        "T1/T2": "40908007",
        "T2/T3": "6004007",
        "T3/T4": "2620004",
        "T4/T5": "82965004",
        "T5/T6": "72692000",
        "T6/T7": "74401007",
        "T7/T8": "28693002",
        "T8/T9": "9188009",
        "T9/T10": "113209001",
        "T10/T11": "34959001",
        "T11/T12": "1537001",
        "T12/L1": "76206002",
        "L1/L2": "80064006",
        "L2/L3": "67459009",
        "L3/L4": "62551000",
        "L4/L5": "84020006",
        "L5/S1": "715056000",
    },
)

#: CID 1003 Levels of the spine that a disc names, by the vertebrae above and below: "C2/C3" to "L5/S1".
DISC_LEVELS: Final = _table(
    "Level of {} intervertebral disc",
    {
        "C2/C3": "243902007",
        "C3/C4": "243903002",
        "C4/C5": "243904008",
        "C5/C6": "243905009",
        "C6/C7": "243906005",
        "C7/T1": "243925008",
        "T1/T2": "243908006",
        "T2/T3": "243909003",
        "T3/T4": "243910008",
        "T4/T5": "243911007",
        "T5/T6": "243912000",
        "T6/T7": "243913005",
        "T7/T8": "243914004",
        "T8/T9": "243915003",
        "T9/T10": "243916002",
        "T10/T11": "243917006",
        "T11/T12": "243918001",
        "T12/L1": "243926009",
        "L1/L2": "243920003",
        "L2/L3": "243921004",
        "L3/L4": "243922006",
        "L4/L5": "243923001",
        "L5/S1": "243927000",
    },
)
