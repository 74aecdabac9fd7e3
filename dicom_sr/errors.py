"""What can go wrong when results are written or read back.

DicomSrError
├── InvalidSource        the source series cannot carry a result
├── InvalidResult        the caller's label map, segments or texts contradict each other
│   └── EmptySegmentation    no voxel is labelled: a SEG needs a frame (PS3.3 C.7.6.16.1)
└── InvalidObject        a SEG or SR that was read back is not what this library reads
"""


class DicomSrError(Exception):
    """Base of every error of this library."""


class InvalidSource(DicomSrError):
    """The source series lacks something, or contradicts itself, so that no result can refer to it."""


class InvalidResult(DicomSrError):
    """The label map, the segments or a text of the result break a rule of the library or of the standard."""


class EmptySegmentation(InvalidResult):
    """No voxel of the label map is labelled. Send a report without measurement groups instead."""


class InvalidObject(DicomSrError):
    """A SEG or SR that was read back lacks what is needed, or contradicts itself."""
