"""An object did not reach its destination."""

from node.errors.root import NodeError


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
