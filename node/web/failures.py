"""Errors as answers: a page for people, the error document of the commands for programs and for htmx."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from node.errors import (
    DeliveryError,
    IllegalTransition,
    InputError,
    JournalError,
    NodeError,
    ResultDamaged,
    SettingsError,
    SystemFailed,
    Unanswered,
    UnknownCase,
)
from node.web.render import page

#: What an error is to a browser (RFC 9110 15); the first class that fits.
_STATUSES: tuple[tuple[type[NodeError], int], ...] = (
    (UnknownCase, 404),
    (IllegalTransition, 409),
    (InputError, 422),
    (SettingsError, 422),
    (JournalError, 503),
    (Unanswered, 504),
    (SystemFailed, 503),
    (ResultDamaged, 409),
    (DeliveryError, 502),
)
_HEADINGS: Mapping[int, str] = MappingProxyType(
    {
        400: "Not understood",
        401: "Sign in first",
        403: "Not allowed",
        404: "Not found",
        405: "Not possible here",
        408: "Too slow",
        409: "Not possible now",
        413: "Too large",
        415: "Not understood",
        421: "Not this address",
        422: "Not understood",
        429: "Too many tries",
        502: "The other side failed",
        503: "Not available now",
        504: "No answer yet",
    }
)


def status_of(error: NodeError) -> int:
    """Return the HTTP status that an error has."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def wants_page(request: Request) -> bool:
    """Return whether a person looks: a browser that shows what comes, neither htmx nor a program."""
    asked_by_program = request.scope["path"].startswith("/api/") or "hx-request" in request.headers
    return not asked_by_program and "text/html" in request.headers.get("accept", "")


def failure(request: Request, status: int, *, code: str, message: str, retryable: bool = False) -> Response:
    """Return an error as a page, or as the document that a command prints with `--json`."""
    if wants_page(request):
        heading = _HEADINGS.get(status, "This failed")
        case = request.path_params.get("case")
        shown: dict[str, Any] = {"heading": heading, "code": code, "message": message, "case": case}
        return page(request, "error.html.j2", status=status, http=status, **shown)
    return JSONResponse({"error": {"code": code, "message": message, "retryable": retryable}}, status)


def sign_in_first(request: Request) -> Response:
    """Return what leads somebody who is not signed in to the page where one does, and back afterwards."""
    if "hx-request" in request.headers:
        answer = failure(request, 401, code="sign-in", message="sign in first")
        answer.headers["HX-Redirect"] = "/login"
        return answer
    if wants_page(request):
        asked = request.scope["path"] if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={quote(asked)}", 303)
    answer = failure(request, 401, code="sign-in", message="sign in first")
    answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 11.6.1: a 401 says how
    return answer


def answer_errors(app: FastAPI) -> None:
    """Let `app` answer every error that is foreseen."""
    app.add_exception_handler(NodeError, _node_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_understood)


def _node_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NodeError)  # noqa: S101 - registered for these
    return failure(request, status_of(error), code=error.code, message=str(error), retryable=error.retryable)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    if error.status_code == 401:
        return sign_in_first(request)
    message = "there is no such page" if error.detail == "Not Found" else str(error.detail)
    answer = failure(request, error.status_code, code=f"http-{error.status_code}", message=message)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _not_understood(request: Request, error: Exception) -> Response:
    """Name the parameters that are wrong, without what they held: it may be an identifier."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these
    lines = [f"{'.'.join(map(str, _told(item)))}: {item['msg']}" for item in error.errors()]
    return failure(request, 422, code="not-understood", message="; ".join(lines))


def _told(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return where the wrong value stands, without "query", "body" or "path" in front of its name."""
    place: tuple[Any, ...] = tuple(item["loc"])
    return place[1:] or place
