"""The received data cannot be used; trying again will not help."""

from node.errors.root import NodeError


class InputError(NodeError):
    """The received data cannot be used."""

    code = "input-error"
    exit_code = 65


class NotDicom(InputError):
    """No DICOM data set in these bytes."""

    code = "not-dicom"


class NotAnImage(InputError):
    """A sound DICOM object without pixels, such as a report."""

    code = "not-an-image"


class TruncatedFile(InputError):
    """The data set ends before its end."""

    code = "truncated-file"


class UnsupportedTransferSyntax(InputError):
    """The transfer syntax is unknown, or no installed codec decodes it."""

    code = "unsupported-transfer-syntax"


class UndecodablePixels(InputError):
    """The pixel data is missing, has the wrong length, or its codec gave up."""

    code = "undecodable-pixels"


class InvalidIdentifier(InputError):
    """A UID (PS3.5 9.1) or an AE title (PS3.5 6.2) that the standard does not allow."""

    code = "invalid-identifier"


class UnsafeArchive(InputError):
    """A zip that would unpack outside its folder or grow beyond its cap."""

    code = "unsafe-archive"


class NiftiRefused(InputError):
    """No NIfTI image of three dimensions with a place in the patient, or one that is too large."""

    code = "nifti-refused"


class GridMismatch(InputError):
    """Two images that belong together, such as a mask and its series, do not lie on the same voxels."""

    code = "grid-mismatch"


class NothingToSegment(InputError):
    """No series among the input, or every series was refused."""

    code = "nothing-to-segment"


class VolumeRefused(InputError):
    """The frames do not make one regular grid."""

    code = "volume-refused"


class MissingGeometry(VolumeRefused):
    """A frame lacks its position, orientation or pixel spacing (PS3.3 C.7.6.2)."""

    code = "missing-geometry"


class TooFewSlices(VolumeRefused):
    """Fewer than two slices make no volume."""

    code = "too-few-slices"


class SliceGap(VolumeRefused):
    """A slice is missing, or the distance between slices varies."""

    code = "slice-gap"


class DuplicatePosition(VolumeRefused):
    """Two frames lie at the same place and nothing says why."""

    code = "duplicate-position"


class MixedSize(VolumeRefused):
    """Rows or Columns differ between frames."""

    code = "mixed-size"


class MixedOrientation(VolumeRefused):
    """The frames are not parallel."""

    code = "mixed-orientation"


class MixedSpacing(VolumeRefused):
    """PixelSpacing differs between frames."""

    code = "mixed-spacing"


class ShearedStack(VolumeRefused):
    """The slices do not stack along their normal."""

    code = "sheared-stack"


class TwoAcquisitions(VolumeRefused):
    """Several echoes, times or acquisitions lie in one series."""

    code = "two-acquisitions"
