"""What is measured, how it was derived, what qualifies it, and in which unit."""

from typing import Final

from pydicom.sr.coding import Code

#: CID 7472 Volume Measurements; CID 7470 Linear Measurements; CID 7550.
VOLUME: Final = Code("118565006", "SCT", "Volume")
HEIGHT: Final = Code("121207", "DCM", "Height")
DEPTH: Final = Code("131197000", "SCT", "Depth")
COBB_ANGLE: Final = Code("285285000", "SCT", "Cobb angle")

#: CID 7474 Volume Methods.
SUM_OF_SEGMENTED_VOXEL_VOLUMES: Final = Code("126030", "DCM", "Sum of segmented voxel volumes")

#: CID 7464 General Region of Interest Measurement Modifiers: derivations.
TOTAL: Final = Code("255619001", "SCT", "Total")
MEAN: Final = Code("373098007", "SCT", "Mean")
MEDIAN: Final = Code("373099004", "SCT", "Median")

#: CID 210 Finding Site Modifiers, and values of CID 2 and CID 211. The standard takes "Middle" from the NCI Thesaurus.
TOPOGRAPHICAL_MODIFIER: Final = Code("106233006", "SCT", "Topographical modifier")
ANTERIOR: Final = Code("255549009", "SCT", "Anterior")
MIDDLE: Final = Code("C25569", "NCIt", "Middle")
POSTERIOR: Final = Code("255551008", "SCT", "Posterior")

#: CID 7460, CID 7462, CID 7183, CID 7181: units of UCUM.
MM: Final = Code("mm", "UCUM", "mm")
MM3: Final = Code("mm3", "UCUM", "cubic millimeter")
DEGREE: Final = Code("deg", "UCUM", "degree")
RATIO: Final = Code("1", "UCUM", "no units")

#: CID 230 Yes-No.
YES: Final = Code("373066001", "SCT", "Yes")
NO: Final = Code("373067005", "SCT", "No")

#: CID 240 Present-Absent.
PRESENT: Final = Code("52101004", "SCT", "Present")
ABSENT: Final = Code("272519000", "SCT", "Absent")
