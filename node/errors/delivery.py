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


class OutOfResources(StoreFailed):
    """The destination has no room or no time for anything now (PS3.4 B.2.3, "Refused: Out of Resources")."""

    code = "out-of-resources"

    def __init__(self, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        #: When it asks to be tried again, where it says so.
        self.retry_after_s = retry_after_s


class CannotUnderstand(StoreFailed):
    """The peer cannot read this object (PS3.4 B.2.3, "Error: Cannot Understand"); tried a few times, then refused."""

    code = "cannot-understand"


class RequestFailed(DeliveryError):
    """The peer answered a question, or a request for storage commitment, with a failure."""

    code = "request-failed"


class StoreRefused(DeliveryError):
    """The peer will never take this object: its SOP Class is not supported there."""

    code = "store-refused"
    retryable = False


class ResultDamaged(DeliveryError):
    """The file to send is gone, or differs from the digest that it had when it was made."""

    code = "result-damaged"
    retryable = False


class DestinationMisconfigured(DeliveryError):
    """The destination rejects who we are: credentials, certificate or AE title. An operator has to act."""

    code = "destination-misconfigured"


class NotConfirmed(DeliveryError):
    """The destination took the object, and when asked later does not have it."""

    code = "not-confirmed"


class AttemptsSpent(DeliveryError):
    """The destination failed as often as its settings allow."""

    code = "attempts-spent"
    retryable = False
