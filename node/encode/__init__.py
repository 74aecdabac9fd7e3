"""Findings as DICOM objects, read back and compared before they leave.

encoding    the order of things
objects     which objects are needed, what they are called, and for whom each is meant
segments    what each segment of a SEG stands for
fractions   how probable each voxel of a segment is
content     what the report says
concepts    the node's words as coded concepts
proof       written bytes against findings
reading     a SEG read back onto its slices, for who looks at both
"""

from node.encode.encoding import Case, encode
from node.encode.reading import LabelsShown, SegmentShown, read_labels
from node.encode.segments import segment_numbers

__all__ = ["Case", "LabelsShown", "SegmentShown", "encode", "read_labels", "segment_numbers"]
