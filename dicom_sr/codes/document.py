"""The frame of a report and of a segmentation: templates of PS3.16 and purposes of reference."""

from typing import Final

from pydicom.sr.coding import Code

#: CID 7162 Surface Processing/Algorithm Family; CID 7005 Contributing Equipment Purposes of Reference.
ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
ACQUISITION_EQUIPMENT: Final = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")

#: CID 7203 Image Derivation; CID 7202 Source Image Purposes of Reference.
SEGMENTATION: Final = Code("113076", "DCM", "Segmentation")
#: What is in no segment of a label map, whose pixels hold Pixel Padding Value.
BACKGROUND: Final = Code("125040", "DCM", "Background")
SOURCE_IMAGE_FOR_PROCESSING: Final = Code("121322", "DCM", "Source image for image processing operation")

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
