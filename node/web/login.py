"""Signing in and out."""

import math
import re
import secrets
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from node.log import get_logger
from node.settings import WebSettings
from node.settings.web import UserSettings, is_loopback
from node.web.access import Role, User, caller_of
from node.web.gate import host_of
from node.web.oidc import Provider
from node.web.passwords import Throttle, is_password, read_hash
from node.web.render import page
from node.web.sessions import Sessions, cookie_name

router = APIRouter(include_in_schema=False)

#: Somebody has so many seconds between the form, or the provider's page, and the end of the sign-in.
_WITHIN_S = 900
#: So many addresses are remembered from which somebody has signed in.
_KNOWN = 10_000
#: A place on this site: a path, and nothing that a browser takes for another host.
_PLACE = re.compile(r"/(?![/\\])[A-Za-z0-9/._~%-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How people sign in. Throttled are a name from one address, an address, and a name from everywhere."""

    web: WebSettings
    sessions: Sessions
    uid_key: bytes = field(repr=False)
    users: dict[str, UserSettings]
    provider: Provider | None
    pair: Throttle = field(default_factory=lambda: Throttle(free=4))
    address: Throttle = field(default_factory=lambda: Throttle(free=20))
    name: Throttle = field(default_factory=lambda: Throttle(free=50))
    #: (address, name) of who has signed in: guesses from elsewhere do not keep somebody out where he always comes from.
    known: set[tuple[str, str]] = field(default_factory=set, repr=False)
    #: One at a time: verifying takes 64 MiB, and many tries at once must not all be made before one has failed.
    trying: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def of(cls, web: WebSettings, sessions: Sessions, uid_key: bytes) -> "SignIn":
        """Return what the settings ask for. Raises SettingsError for a file that cannot be used."""
        users = {user.name: user for user in web.user}
        for number, user in enumerate(web.user):
            read_hash(user.password_file, f"web.user[{number}].password_file")
        provider = Provider(web.oidc, origin=web.url) if web.oidc is not None else None
        return cls(web=web, sessions=sessions, uid_key=uid_key, users=users, provider=provider)

    def with_password(self, name: str, password: str, address: str) -> User | None:
        """Return who has this password, None where nobody has. Raises HTTPException 429, SettingsError."""
        with self.trying:
            return self._tried(name, password, address)

    def _tried(self, name: str, password: str, address: str) -> User | None:
        keys = ((self.pair, f"{address} {name}"), (self.address, address), (self.name, name))
        held = keys[:2] if (address, name) in self.known else keys
        wait_s = max(throttle.wait_s(key) for throttle, key in held)
        if wait_s > 0:
            wait = str(math.ceil(wait_s))
            raise HTTPException(429, f"too many tries; the next is taken in {wait} s", {"Retry-After": wait})
        known = self.users.get(name)
        hashed = read_hash(known.password_file, f"web.user: {name}") if known is not None else None
        if known is None or not is_password(hashed, password):
            for throttle, key in keys:
                throttle.failed(key)
            return None
        self.pair.succeeded(f"{address} {name}")
        if len(self.known) < _KNOWN:
            self.known.add((address, name))
        return User(name=name, role=Role(known.role), sees_identifiers=known.sees_identifiers, uid_key=self.uid_key)


def sign_in_cookie(web: WebSettings) -> Middleware:
    """Return what keeps the state of a sign-in that has begun: a signed cookie that only /login sees."""
    return Middleware(
        SessionMiddleware,
        secret_key=secrets.token_hex(32),
        session_cookie="cspine-sign-in",
        max_age=_WITHIN_S,
        path="/login",
        same_site="lax",
        https_only=web.secure,
    )


def _sign_in_of(request: Request) -> SignIn:
    sign_in = request.app.state.sign_in
    assert isinstance(sign_in, SignIn)  # noqa: S101 - set by `node.web.app.build_app`
    return sign_in


TheSignIn = Annotated[SignIn, Depends(_sign_in_of)]


@router.get("/login")
def form(request: Request, sign_in: TheSignIn, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """Show the form, or go where somebody who is signed in already wants to."""
    if caller_of(request).user is not None:
        return RedirectResponse(place(next), 303)
    return _form(request, sign_in, where=next)


@router.post("/login")
def sign_in_with_password(
    request: Request,
    sign_in: TheSignIn,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name
) -> Response:
    """Sign in with a password of this node."""
    if not (sign_in.web.secure or request.url.scheme == "https" or is_loopback(host_of(request))):
        raise HTTPException(403, "passwords are taken over https only")
    address = request.client.host if request.client else ""
    try:
        user = sign_in.with_password(name, password, address)
    except HTTPException as error:
        answer = _form(request, sign_in, where=next, name=name, status=error.status_code, message=error.detail)
        answer.headers.update(error.headers or {})
        return answer
    if user is None:
        get_logger().warning("sign-in failed", address=address, known=name in sign_in.users)
        message = "Name or password is wrong."
        return _form(request, sign_in, where=next, name=name, status=401, message=message)
    return _signed_in(request, sign_in, user, place(next), "password")


@router.get("/login/oidc")
async def sign_in_at_provider(request: Request, sign_in: TheSignIn, next: str = "/") -> Response:  # noqa: A002
    """Send somebody to the OpenID provider."""
    request.session["next"] = place(next)
    return await _provider(sign_in).sent_to(request)


@router.get("/login/oidc/callback")
async def back_from_provider(request: Request, sign_in: TheSignIn) -> Response:
    """Sign in whom the OpenID provider has sent back."""
    user = await _provider(sign_in).user(request, sign_in.uid_key)
    return _signed_in(request, sign_in, user, place(str(request.session.get("next", "/"))), "oidc")


@router.post("/logout")
def sign_out(request: Request, sign_in: TheSignIn) -> Response:
    """End the session."""
    sign_in.sessions.end(request.cookies.get(cookie_name(sign_in.web), ""))
    caller = caller_of(request)
    if caller.user is not None and caller.signed_in:
        get_logger().info("signed out", user=caller.user.name)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(sign_in.web), secure=sign_in.web.secure, httponly=True, samesite="lax")
    return answer


def place(asked: str) -> str:
    """Return where to go after the sign-in: a path of this site, or the worklist for anything else.

    >>> place("/cases/7"), place("//evil.example"), place("https://evil.example"), place("/\\\\evil.example")
    ('/cases/7', '/', '/', '/')
    """
    path = urlsplit(asked).path if asked.startswith("/") else ""
    return asked if _PLACE.fullmatch(asked) and path == asked and not path.startswith("/login") else "/"


def _provider(sign_in: SignIn) -> Provider:
    if sign_in.provider is None:
        raise HTTPException(404, "no OpenID provider is configured")
    return sign_in.provider


def _form(
    request: Request,
    sign_in: SignIn,
    *,
    where: str,
    name: str = "",
    status: int = 200,
    message: str = "",
) -> Response:
    provider = sign_in.provider.name if sign_in.provider is not None else ""
    shown = {"next": place(where), "name": name, "message": message}
    return page(request, "login.html.j2", status=status, provider=provider, passwords=bool(sign_in.users), **shown)


def _signed_in(request: Request, sign_in: SignIn, user: User, where: str, by: str) -> Response:
    """Begin a session, under a token that nobody knew before."""
    sign_in.sessions.end(request.cookies.get(cookie_name(sign_in.web), ""))
    request.session.clear()
    token = sign_in.sessions.begin(user)
    get_logger().info("signed in", user=user.name, role=user.role.value, by=by)
    answer = RedirectResponse(where, 303)
    answer.set_cookie(
        cookie_name(sign_in.web), token, path="/", secure=sign_in.web.secure, httponly=True, samesite="lax"
    )
    return answer
