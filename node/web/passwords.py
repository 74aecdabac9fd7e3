"""Passwords: argon2id hashes in files (RFC 9106), and how often somebody may guess."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from node.errors import InputError, SettingsError

_HASHER = PasswordHasher()
_LEAST, _MOST = 12, 1024


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password. Raises InputError for one that is too short or too long."""
    if not _LEAST <= len(password) <= _MOST:
        raise InputError(f"a password has {_LEAST} to {_MOST} characters")
    return _HASHER.hash(password)


#: What is verified for a name that nobody has, so that the time tells nothing.
_NOBODY = _HASHER.hash("nobody signs in with this")


def read_hash(path: Path, key: str) -> str:
    """Return the hash in a file. Raises SettingsError, named by `key`, for what `hash_password` did not make."""
    try:
        text = path.read_text(encoding="ascii").strip()
        extract_parameters(text)
    except OSError as error:
        raise SettingsError(f"{key}: {path} cannot be read") from error
    except (UnicodeDecodeError, InvalidHashError) as error:
        raise SettingsError(f"{key}: {path} holds no argon2 hash; `cspine-node web hash-password` makes one") from error
    return text


def is_password(hashed: str | None, password: str) -> bool:
    """Return whether a hash is that of `password`; None is nobody's, and takes as long."""
    try:
        return _HASHER.verify(hashed or _NOBODY, password) and hashed is not None
    except (VerifyMismatchError, VerificationError):
        return False


@dataclass(slots=True)
class _Failures:
    count: int
    until: float
    last: float


class Throttle:
    """Makes whoever fails wait: after `free` failures a second, then twice as long each time, up to `most_s`.

    What fails is a key: a name from one address, an address, or a name from anywhere. An hour after its last failure a
    key is as new.
    """

    def __init__(
        self, *, free: int, most_s: float = 900.0, forget_s: float = 3600.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free = free
        self._most_s = most_s
        self._forget_s = forget_s
        self._clock = clock
        self._changing = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Return the seconds that a key has to wait before it may try again, 0 for one that may now."""
        with self._changing:
            failures = self._failures.get(key)
            return 0.0 if failures is None else max(0.0, failures.until - self._clock())

    def failed(self, key: str) -> None:
        """Count a failure."""
        now = self._clock()
        with self._changing:
            while self._failures and now - next(iter(self._failures.values())).last >= self._forget_s:
                self._failures.popitem(last=False)
            failures = self._failures.pop(key, None) or _Failures(count=0, until=now, last=now)
            failures.count += 1
            failures.last = now
            beyond = failures.count - self._free
            if beyond > 0:
                failures.until = now + min(self._most_s, math.ldexp(1.0, min(beyond - 1, 20)))
            self._failures[key] = failures
            if len(self._failures) > _KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        with self._changing:
            self._failures.pop(key, None)


#: More keys are not remembered; the oldest goes.
_KEYS = 100_000
