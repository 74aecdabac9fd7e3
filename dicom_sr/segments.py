"""Items of Segment Sequence (PS3.3 C.8.20.4)."""

from highdicom.color import CIELabColor

from dicom_sr import codes
from dicom_sr.items import EncodedItem, Value, code_item, item
from dicom_sr.model import AlgorithmIdentity, SegmentSpec


def describe(segment: SegmentSpec) -> EncodedItem:
    """Return the description of a segment."""
    color = CIELabColor(segment.color.lightness, segment.color.a, segment.color.b)
    optional: dict[str, Value] = {}
    if segment.anatomic_regions:
        optional["AnatomicRegionSequence"] = [code_item(region) for region in segment.anatomic_regions]
    if segment.algorithm is not None:
        optional["SegmentAlgorithmName"] = segment.algorithm.name
        optional["SegmentationAlgorithmIdentificationSequence"] = [_identified(segment.algorithm)]
    return item(
        SegmentNumber=segment.number,
        SegmentLabel=segment.label,
        SegmentedPropertyCategoryCodeSequence=[code_item(segment.property_category)],
        SegmentedPropertyTypeCodeSequence=[code_item(segment.property_type)],
        SegmentAlgorithmType=segment.algorithm_type.value,
        RecommendedDisplayCIELabValue=tuple(int(value) for value in color.value),
        TrackingID=segment.tracking_id,
        TrackingUID=segment.tracking_uid,
        **optional,
    )


def _identified(algorithm: AlgorithmIdentity) -> EncodedItem:
    """Return the item of Segmentation Algorithm Identification Sequence (PS3.3 10.16)."""
    optional: dict[str, Value] = {} if algorithm.source is None else {"AlgorithmSource": algorithm.source}
    return item(
        AlgorithmFamilyCodeSequence=[code_item(algorithm.family)],
        AlgorithmName=algorithm.name,
        AlgorithmVersion=algorithm.version,
        **optional,
    )


def background(like: SegmentSpec) -> EncodedItem:
    """Return the description of what is in no segment, under number 0; outlined as the segment `like` was."""
    optional: dict[str, Value] = {}
    if like.algorithm is not None:
        optional["SegmentAlgorithmName"] = like.algorithm.name
    return item(
        SegmentNumber=0,
        SegmentLabel="Background",
        SegmentedPropertyCategoryCodeSequence=[code_item(codes.BACKGROUND)],
        SegmentedPropertyTypeCodeSequence=[code_item(codes.BACKGROUND)],
        SegmentAlgorithmType=like.algorithm_type.value,
        RecommendedDisplayCIELabValue=(0, 32896, 32896),
        **optional,
    )
