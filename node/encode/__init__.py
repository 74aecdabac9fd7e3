"""Findings as DICOM objects, read back and compared before they leave.

encoding    the order of things
objects     which objects are needed, what they are called, and for whom each is meant
segments    what each segment of a SEG stands for
fractions   how probable each voxel of a segment is
content     what the report says
concepts    the node's words as coded concepts
proof       written bytes against findings
"""

from node.encode.encoding import Case, encode
from node.encode.segments import segment_numbers

__all__ = ["Case", "encode", "segment_numbers"]
