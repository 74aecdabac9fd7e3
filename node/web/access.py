"""Who looks at a page, and what they may."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from node.log import hashed_uid


class Role(Enum):
    """What somebody may do."""

    #: Looks.
    VIEWER = "viewer"
    #: Also changes: retry, reprocess, hold, cancel, send.
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who is signed in, or on loopback where nobody has to."""

    name: str
    role: Role
    #: Patient names and identifiers, and UIDs as they are.
    sees_identifiers: bool
    #: Key of the hash that stands for a UID; the one of the logs, so that page and log can be held together.
    uid_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and how. `user`: None where nobody is signed in."""

    user: User | None = None
    #: What a form must carry, so that no other site can send it; "" where a form is not to be taken.
    csrf_token: str = field(default="", repr=False)
    #: Whether there is a session to sign out of.
    signed_in: bool = False
    #: A program with a token of its own, which no browser sends by itself.
    by_token: bool = False


def shown_uid(user: User, uid: str) -> str:
    """Return a UID as `user` may see it: as it is, or the keyed hash that stands for it in the logs."""
    return uid if user.sees_identifiers else hashed_uid(user.uid_key, uid)


def user_of(request: Request) -> User:
    """Return who asks. Raises 401 where nobody is signed in."""
    user = getattr(request.state, "user", None)
    if not isinstance(user, User):
        raise HTTPException(401, "sign in first")
    return user


def caller_of(request: Request) -> Caller:
    """Return who asks, signed in or not."""
    caller = request.state.caller
    assert isinstance(caller, Caller)  # noqa: S101 - set by `node.web.gate.Gate`
    return caller


def operator_of(request: Request) -> User:
    """Return who asks, an operator. Raises 401, and 403 for a viewer."""
    user = user_of(request)
    if user.role is not Role.OPERATOR:
        raise HTTPException(403, "operators only")
    return user


Viewer = Annotated[User, Depends(user_of)]
Operator = Annotated[User, Depends(operator_of)]
