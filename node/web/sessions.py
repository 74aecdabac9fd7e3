"""Who is signed in: in the memory of this process, so that signing out, and a restart, end it at once."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from node.settings import WebSettings
from node.web.access import User

#: More than these are not kept; the one that was silent longest goes.
_MOST = 1000


@dataclass(slots=True, kw_only=True)
class Session:
    """Somebody who has signed in. Times are monotonic, in seconds."""

    user: User
    begun: float
    seen: float
    csrf_token: str = field(default_factory=secrets.token_urlsafe, repr=False)


class Sessions:
    """The sessions, by a token of 256 random bits that only the browser has; here lies its digest.

    `idle_s`: nobody who does nothing for so long is still signed in; `total_s`: nobody at all.
    """

    def __init__(self, *, idle_s: float, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_s = idle_s
        self._total_s = total_s
        self._clock = clock
        self._changing = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def begin(self, user: User) -> str:
        """Sign somebody in, and return the token of a new session."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._changing:
            for key in [key for key, session in self._sessions.items() if self._over(session, now)]:
                del self._sessions[key]
            while len(self._sessions) >= _MOST:
                del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
            self._sessions[_key(token)] = Session(user=user, begun=now, seen=now)
        return token

    def find(self, token: str, *, attended: bool) -> Session | None:
        """Return the session of a token, None when it is over. `attended`: somebody did this, so that it goes on."""
        now = self._clock()
        with self._changing:
            session = self._sessions.get(_key(token))
            if session is None:
                return None
            if self._over(session, now):
                del self._sessions[_key(token)]
                return None
            if attended:
                session.seen = now
            return session

    def end(self, token: str) -> None:
        """Sign out."""
        with self._changing:
            self._sessions.pop(_key(token), None)

    def _over(self, session: Session, now: float) -> bool:
        return now - session.seen >= self._idle_s or now - session.begun >= self._total_s


def cookie_name(web: WebSettings) -> str:
    """Return the name of the session's cookie; over https one that only this very host can set (RFC 6265bis 4.1.3)."""
    return "__Host-cspine" if web.secure else "cspine"


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
