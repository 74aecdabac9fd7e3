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
    |   +-- NiftiRefused              no NIfTI image with three dimensions and a place in the patient
    |   +-- GridMismatch              two images that belong together do not lie on the same voxels
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
    |   +-- ModelRefused              a trained model asks for what this engine does not do, or must not do
    +-- EngineError                   the network failed on this volume
    |   +-- ImageRefused              a volume that no network can answer
    |   +-- EngineDied                the process that holds the networks ended in the middle of a case
    |   +-- EngineTimeout             the case took longer than its limit; the process was killed
    |   +-- SelfTestFailed            at start the fast engine differed from the official functions
    +-- EncodingError                 SEG or SR could not be built
    +-- TrainingFailed                a command of nnU-Net ended with an error
    +-- SystemFailed                  the machine failed, not the data
    |   +-- Unanswered                the node was asked, and nobody knows whether it did what it was asked for
    |   +-- AnswerTooLarge            the node did what it was asked for, and cannot say it in one answer
    +-- BatchInterrupted              a batch cannot go on now; the same command goes on later
    +-- Unexpected                    nobody foresaw this; the message names type and place only
    +-- JournalError                  the record of all work cannot be read or written
    |   +-- IllegalTransition         a state may not follow another
    |   +-- NodeAlreadyRunning        another process owns this journal
    |   +-- JournalDamaged            what it holds is not what was written
    |   +-- UnknownCase               it has no case of this number
    +-- DeliveryError                 an object did not reach its destination
        +-- PeerUnreachable           no association could be made
        +-- AssociationRefused        the peer said no to the association
        +-- ContextsRefused           the peer takes none of the SOP Classes that were offered
        +-- StoreFailed               the peer answered a C-STORE with a failure that may pass
        |   +-- OutOfResources        it has no room or no time for anything now
        |   +-- CannotUnderstand      it cannot read this object; tried a few times, then refused
        +-- RequestFailed             the peer answered a question or a request for commitment with a failure
        +-- StoreRefused              the peer will never take this object
        +-- ResultDamaged             the file to send is gone or differs from its digest
        +-- DestinationMisconfigured  the destination rejects who we are
        +-- NotConfirmed              the destination took the object, and later does not have it
        +-- AttemptsSpent             the destination failed as often as its settings allow

Messages never hold patient data: no names, no identifiers of persons, no values of free text elements.
"""

from node.errors.delivery import (
    AssociationRefused,
    AttemptsSpent,
    CannotUnderstand,
    ContextsRefused,
    DeliveryError,
    DestinationMisconfigured,
    NotConfirmed,
    OutOfResources,
    PeerUnreachable,
    RequestFailed,
    ResultDamaged,
    StoreFailed,
    StoreRefused,
)
from node.errors.journal import (
    IllegalTransition,
    JournalDamaged,
    JournalError,
    NodeAlreadyRunning,
    UnknownCase,
)
from node.errors.model import (
    BundleError,
    BundleTampered,
    EncodingError,
    EngineDied,
    EngineError,
    EngineTimeout,
    ImageRefused,
    ModelRefused,
    SelfTestFailed,
    TrainingFailed,
)
from node.errors.received import (
    DuplicatePosition,
    GridMismatch,
    InputError,
    InvalidIdentifier,
    MissingGeometry,
    MixedOrientation,
    MixedSize,
    MixedSpacing,
    NiftiRefused,
    NotAnImage,
    NotDicom,
    NothingToSegment,
    ShearedStack,
    SliceGap,
    TooFewSlices,
    TruncatedFile,
    TwoAcquisitions,
    UndecodablePixels,
    UnsafeArchive,
    UnsupportedTransferSyntax,
    VolumeRefused,
)
from node.errors.root import (
    AnswerTooLarge,
    BatchInterrupted,
    NodeError,
    SettingsError,
    SystemFailed,
    Unanswered,
    Unexpected,
    unexpected,
)

__all__ = [
    "AnswerTooLarge",
    "AssociationRefused",
    "AttemptsSpent",
    "BatchInterrupted",
    "BundleError",
    "BundleTampered",
    "CannotUnderstand",
    "ContextsRefused",
    "DeliveryError",
    "DestinationMisconfigured",
    "DuplicatePosition",
    "EncodingError",
    "EngineDied",
    "EngineError",
    "EngineTimeout",
    "GridMismatch",
    "IllegalTransition",
    "ImageRefused",
    "InputError",
    "InvalidIdentifier",
    "JournalDamaged",
    "JournalError",
    "MissingGeometry",
    "MixedOrientation",
    "MixedSize",
    "MixedSpacing",
    "ModelRefused",
    "NiftiRefused",
    "NodeAlreadyRunning",
    "NodeError",
    "NotAnImage",
    "NotConfirmed",
    "NotDicom",
    "NothingToSegment",
    "OutOfResources",
    "PeerUnreachable",
    "RequestFailed",
    "ResultDamaged",
    "SelfTestFailed",
    "SettingsError",
    "ShearedStack",
    "SliceGap",
    "StoreFailed",
    "StoreRefused",
    "SystemFailed",
    "TooFewSlices",
    "TrainingFailed",
    "TruncatedFile",
    "TwoAcquisitions",
    "Unanswered",
    "UndecodablePixels",
    "Unexpected",
    "UnknownCase",
    "UnsafeArchive",
    "UnsupportedTransferSyntax",
    "VolumeRefused",
    "unexpected",
]
