"""The model, the engine that runs it, and the results made of its answer."""

from node.errors.root import NodeError


class BundleError(NodeError):
    """The model folder is missing something or says something impossible."""

    code = "bundle-error"
    exit_code = 66


class BundleTampered(BundleError):
    """A file of the model differs from its manifest, or is not in it."""

    code = "bundle-tampered"


class ModelRefused(BundleError):
    """A trained model asks for something that this engine does not do, or that it must not do."""

    code = "model-refused"


class EngineError(NodeError):
    """The network failed on this volume."""

    code = "engine-error"
    retryable = True


class ImageRefused(EngineError):
    """A volume that no network can answer: without any signal, or with values that are no numbers."""

    code = "image-refused"
    retryable = False


class EngineDied(EngineError):
    """The process that holds the networks ended in the middle of a case: out of memory, or a broken device."""

    code = "engine-died"


class EngineTimeout(EngineError):
    """The case took longer than `model.timeout_s`; its process was killed."""

    code = "engine-timeout"


class SelfTestFailed(EngineError):
    """At start the fast engine did not give the voxels of the official functions; it does not serve."""

    code = "self-test-failed"
    retryable = False


class EncodingError(NodeError):
    """SEG or SR could not be built from these findings."""

    code = "encoding-error"


class TrainingFailed(NodeError):
    """A command of nnU-Net ended with an error; the message quotes its last lines."""

    code = "training-failed"
    retryable = True
