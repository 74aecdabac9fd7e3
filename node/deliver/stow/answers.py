"""What a DICOMweb server's answer means: HTTP statuses and the Store Instances Response (PS3.18 10.5.3, I.2).

200             stored, unless the response names a failure: some servers say 200 all the same
202             stored with a warning, or not; the response says which; where it says nothing: to be verified
409             not stored; Failure Reason (0008,1197) says why (`node.deliver.statuses`)
429, 503, 507   out of resources; Retry-After is heeded
400, 415 ...    the server cannot understand the object; 415 and reason 0xC122: not in this encoding
413, 500 ...    tried again
502, 504        the server behind the gateway does not answer
401, 403, 404, 405, redirects ...    the settings are wrong, here or there
"""

from typing import Any

import requests

from node.deliver.destination import Answer, Parcel
from node.deliver.statuses import Meaning, error_of, meaning_of, note_of
from node.errors import (
    CannotUnderstand,
    DeliveryError,
    DestinationMisconfigured,
    OutOfResources,
    PeerUnreachable,
    RequestFailed,
    StoreFailed,
)

#: Answers to a query for what is not there; 204 has no content.
NOT_FOUND = frozenset({404, 410})

_ACCOUNTED = frozenset({200, 202, 409})
_OUT_OF_RESOURCES = frozenset({429, 503, 507})
_GATEWAY = frozenset({502, 504})
_MISCONFIGURED = frozenset({401, 403, 404, 405, 406, 407, 410, 421, 426, 495, 496, 501, 505, 511})
_MAY_PASS = frozenset({408, 413, 423, 425})
_UNSUPPORTED_MEDIA_TYPE = 415
_TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122

_REFERENCED, _FAILED = "00081199", "00081198"
_WARNING_REASON, _FAILURE_REASON = "00081196", "00081197"


def answer_of(response: requests.Response, parcel: Parcel, who: str, note: str | None) -> Answer:
    """Return what the server said of one object. Raises DestinationMisconfigured or PeerUnreachable: the whole way."""
    code = response.status_code
    if code not in _ACCOUNTED:
        of_way = way_error(response, who)
        if isinstance(of_way, DestinationMisconfigured | PeerUnreachable):
            raise of_way
        return Answer(parcel=parcel, error=_of_object(code, of_way, who), note=None)
    if (reason := _reason(response, _FAILED, _FAILURE_REASON)) is not None:
        unsure = meaning_of(reason)[0] is Meaning.DUPLICATE
        error = error_of(reason, who) if reason else StoreFailed(f"{who} answered {code} and names no reason")
        return Answer(parcel=parcel, error=error, note=_joined(note, note_of(reason)), unsure=unsure)
    warning = _reason(response, _REFERENCED, _WARNING_REASON)
    if code == 409:
        return Answer(parcel=parcel, error=StoreFailed(f"{who} answered 409 and names no reason"), note=None)
    if code == 202 and warning is None:
        note = _joined(note, "202 without a readable account of the object")
        return Answer(parcel=parcel, error=None, note=note, unsure=True)
    return Answer(parcel=parcel, error=None, note=_joined(note, f"warning 0x{warning:04X}" if warning else None))


def response_of(error: requests.HTTPError) -> requests.Response:
    """Return the response that requests raised an error for."""
    if error.response is None:
        raise PeerUnreachable("the server answered nothing")
    return error.response


def wants_another_encoding(response: requests.Response) -> bool:
    """Return whether the server takes the object, but not in this transfer syntax."""
    if response.status_code in _ACCOUNTED:
        return _reason(response, _FAILED, _FAILURE_REASON) == _TRANSFER_SYNTAX_NOT_SUPPORTED
    return bool(response.status_code == _UNSUPPORTED_MEDIA_TYPE)


def way_error(response: requests.Response, who: str) -> DeliveryError:
    """Return the error behind a status that is about the request and not about an object."""
    code = response.status_code
    text = f"{who} answered {code}"
    if code in _OUT_OF_RESOURCES:
        return OutOfResources(text, retry_after_s=_retry_after_s(response))
    if code in _GATEWAY:
        return PeerUnreachable(text)
    if code in _MISCONFIGURED or 300 <= code < 400:
        return DestinationMisconfigured(text)
    return RequestFailed(text)


def _of_object(code: int, error: DeliveryError, who: str) -> DeliveryError:
    """Return what an error means where the request held one object."""
    if not isinstance(error, RequestFailed):
        return error
    text = f"{who} answered {code}"
    if code in _MAY_PASS or code >= 500:
        return StoreFailed(text)
    return CannotUnderstand(text)


def _reason(response: requests.Response, sequence: str, reason: str) -> int | None:
    """Return the reason in the first item of a sequence, 0 where the item has none; None without an item."""
    items = _items(response, sequence)
    if not items:
        return None
    try:
        return int(items[0][reason]["Value"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return 0


def _items(response: requests.Response, sequence: str) -> list[Any]:
    """Return the items of a sequence of the response; none where it is no DICOM JSON (PS3.18 F)."""
    try:
        document = response.json()
        if isinstance(document, list):
            document = document[0]
        return list(document[sequence]["Value"])
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _retry_after_s(response: requests.Response) -> float:
    """Return the seconds of a Retry-After (RFC 9110 10.2.3), 0 where it names none; a date is not waited for."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _joined(*notes: str | None) -> str | None:
    return "; ".join(filter(None, notes)) or None
