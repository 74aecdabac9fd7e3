"""Coded concepts (PS3.16), each with where it was looked up.

"CID" and "TID" name context groups and templates of PS3.16. Unless said otherwise a code stands in the DICOM Content
Mapping Resource.
"""

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

#: CID 7472; CID 7474; CID 7464; UCUM.
VOLUME: Final = Code("118565006", "SCT", "Volume")
SUM_OF_SEGMENTED_VOXEL_VOLUMES: Final = Code("126030", "DCM", "Sum of segmented voxel volumes")
TOTAL: Final = Code("255619001", "SCT", "Total")
MM3: Final = Code("mm3", "UCUM", "cubic millimeter")

#: CID 7162 Surface Processing/Algorithm Family; CID 7005 Contributing Equipment Purposes of Reference.
ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")

#: CID 100 Quantitative Diagnostic Imaging Procedures.
MRI_UNSPECIFIED_BODY_REGION: Final = Code("25056-3", "LN", "MRI unspecified body region")

#: TID 1500 Measurement Report, TID 1204 Language, TID 1600 Image Library, TID 1602 Image Library Entry Descriptors.
IMAGING_MEASUREMENT_REPORT: Final = Code("126000", "DCM", "Imaging Measurement Report")
LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en", "RFC5646", "English")
PROCEDURE_REPORTED: Final = Code("121058", "DCM", "Procedure reported")
IMAGE_LIBRARY: Final = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP: Final = Code("126200", "DCM", "Image Library Group")
MODALITY: Final = Code("121139", "DCM", "Modality")
MAGNETIC_RESONANCE: Final = Code("MR", "DCM", "Magnetic Resonance")
TARGET_REGION: Final = Code("123014", "DCM", "Target Region")
SOURCE: Final = Code("260753009", "SCT", "Source")
FRAME_OF_REFERENCE_UID: Final = Code("112227", "DCM", "Frame of Reference UID")
IMAGING_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
COMMENT: Final = Code("121106", "DCM", "Comment")

#: TID 1002 Observer Context, TID 1004 Device Observer Identifying Attributes.
OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
DEVICE: Final = Code("121007", "DCM", "Device")
DEVICE_OBSERVER_UID: Final = Code("121012", "DCM", "Device Observer UID")
DEVICE_OBSERVER_NAME: Final = Code("121013", "DCM", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER: Final = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL_NAME: Final = Code("121015", "DCM", "Device Observer Model Name")
DEVICE_OBSERVER_SERIAL_NUMBER: Final = Code("121016", "DCM", "Device Observer Serial Number")

#: TID 1411 Volumetric ROI Measurements, TID 1419 ROI Measurements, TID 1501 Measurement Group, TID 4019 Algorithm.
MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER: Final = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING: Final = Code("121071", "DCM", "Finding")
FINDING_SITE: Final = Code("363698007", "SCT", "Finding Site")
MEASUREMENT_METHOD: Final = Code("370129005", "SCT", "Measurement Method")
DERIVATION: Final = Code("121401", "DCM", "Derivation")
REFERENCED_SEGMENT: Final = Code("121191", "DCM", "Referenced Segment")
SOURCE_SERIES_FOR_SEGMENTATION: Final = Code("121232", "DCM", "Source series for segmentation")
ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")
