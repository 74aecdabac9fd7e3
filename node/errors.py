"""Every error of the node, in one tree.

The class decides what happens next: `code` is the stable name that is stored and printed, `retryable` says whether
the same work may succeed later, `exit_code` is what a command returns (the numbers of `sysexits.h`).

    NodeError
    +-- SettingsError                 the configuration is wrong
    +-- InputError                    the received data cannot be used; trying again will not help
    |   +-- NotDicom                  no DICOM data set in these bytes
    |   +-- NotAnImage                a sound DICOM object without pixels, such as a report
    |   +-- TruncatedFile             the data set ends before its end
    |   +-- UnsupportedTransferSyntax encoded in a way nothing here decodes
    |   +-- UndecodablePixels         the header is fine, the pixel data is not
    |   +-- InvalidIdentifier         a UID or AE title that the standard does not allow
    |   +-- UnsafeArchive             a zip that would unpack outside its folder or grow beyond its cap
    |   +-- NothingToSegment          no series among the input, or every series was refused
    |   +-- VolumeRefused             the frames do not make one regular grid
    |       +-- MissingGeometry       a frame without position, orientation or spacing
    |       +-- TooFewSlices          fewer than two slices
    |       +-- SliceGap              a slice is missing, or the distance between slices varies
    |       +-- DuplicatePosition     two frames lie at the same place
    |       +-- MixedSize             rows or columns differ between frames
    |       +-- MixedOrientation      the frames are not parallel
    |       +-- MixedSpacing          the pixel spacing differs between frames
    |       +-- ShearedStack          the slices do not stack along their normal
    |       +-- TwoAcquisitions       several echoes, times or acquisitions in one series
    +-- BundleError                   the model folder is missing something
    |   +-- BundleTampered            a file of the model differs from its manifest
    +-- EngineError                   the network failed on this volume
    +-- EncodingError                 SEG or SR could not be built
    +-- SystemFailed                  the machine failed, not the data
    +-- Unexpected                    nobody foresaw this; the message names type and place only
    +-- JournalError                  the record of all work cannot be read or written
    |   +-- IllegalTransition         a state may not follow another
    |   +-- NodeAlreadyRunning        another process owns this journal
    +-- DeliveryError                 an object did not reach its destination
        +-- PeerUnreachable           no association could be made
        +-- AssociationRefused        the peer said no to the association
        +-- ContextsRefused           the peer takes none of the SOP Classes that were offered
        +-- StoreFailed               the peer answered a C-STORE with a failure that may pass
        +-- StoreRefused              the peer will never take this object
        +-- ResultDamaged             the file to send is gone or differs from its digest

Messages never hold patient data: no names, no identifiers of persons, no values of free text elements.
"""

import traceback
from pathlib import Path
from typing import ClassVar


class NodeError(Exception):
    """Root of the tree; never raised itself."""

    code: ClassVar[str] = "node-error"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 70


class SettingsError(NodeError):
    """The configuration is wrong; the message names the full key path."""

    code = "settings-error"
    exit_code = 78


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


class BundleError(NodeError):
    """The model folder is missing something or says something impossible."""

    code = "bundle-error"
    exit_code = 66


class BundleTampered(BundleError):
    """A file of the model differs from its manifest, or is not in it."""

    code = "bundle-tampered"


class EngineError(NodeError):
    """The network failed on this volume."""

    code = "engine-error"
    retryable = True


class EncodingError(NodeError):
    """SEG or SR could not be built from these findings."""

    code = "encoding-error"


class SystemFailed(NodeError):
    """The machine failed, not the data: a file, a folder, a port."""

    code = "system-failed"
    retryable = True
    exit_code = 74


class Unexpected(NodeError):
    """Nobody foresaw this. Made by `unexpected`, since the message of a foreign error may quote a patient."""

    code = "unexpected"
    retryable = True


class JournalError(NodeError):
    """The record of all work cannot be read or written."""

    code = "journal-error"
    retryable = True
    exit_code = 74


class IllegalTransition(JournalError):
    """A state may not follow another."""

    code = "illegal-transition"
    retryable = False


class NodeAlreadyRunning(JournalError):
    """Another process owns this journal."""

    code = "node-already-running"
    retryable = False
    exit_code = 75


class DeliveryError(NodeError):
    """An object did not reach its destination."""

    code = "delivery-error"
    retryable = True
    exit_code = 69


class PeerUnreachable(DeliveryError):
    """No association could be made, or it broke."""

    code = "peer-unreachable"


class AssociationRefused(DeliveryError):
    """The peer said no to the association."""

    code = "association-refused"


class ContextsRefused(DeliveryError):
    """The peer takes none of the SOP Classes, or none of their encodings, that were offered (PS3.8 7.1.1.13)."""

    code = "contexts-refused"
    retryable = False


class StoreFailed(DeliveryError):
    """The peer answered a C-STORE with a failure that may pass (PS3.4 B.2.3)."""

    code = "store-failed"


class StoreRefused(DeliveryError):
    """The peer will never take this object: its SOP Class is not supported there."""

    code = "store-refused"
    retryable = False


class ResultDamaged(DeliveryError):
    """The file to send is gone, or differs from the digest that it had when it was made."""

    code = "result-damaged"
    retryable = False


def unexpected(error: BaseException) -> Unexpected:
    """Return an error that nobody foresaw as one of this tree, by its type and place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Unexpected(f"{type(error).__name__}{place}")
