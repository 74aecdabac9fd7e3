"""Logs: one JSON line an event, on standard error, never with patient data.

UIDs identify a person as soon as an archive is at hand, so they appear as keyed hashes unless the settings say
otherwise. The key lies in the state folder: the same UID has the same hash for the life of the node.
"""

import contextlib
import hashlib
import hmac
import logging
import secrets
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import structlog

from node.durable import write_durably

Logger = structlog.stdlib.BoundLogger

_UID_KEYS = frozenset({"study_uid", "series_uid", "instance_uid", "sop_instance_uid"})


class _Lines(structlog.PrintLogger):
    """Prints lines. One that cannot be written is lost: a full disk under the log must not end what the node does."""

    def msg(self, message: str) -> None:
        """Print one line."""
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure(*, level: str, key: bytes | None) -> None:
    """Set up the logs of this process. `key` hashes UIDs; None prints them as they are."""
    processors: list[Callable[..., Any]] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.EventRenamer("event"),
    ]
    if key is not None:
        processors.append(_hash_uids(key))
    processors.append(structlog.processors.JSONRenderer())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_names: _Lines(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _silence_libraries()


def get_logger() -> Logger:
    """Return the logger of this process."""
    return structlog.get_logger()  # type: ignore[no-any-return]


def load_or_make_key(path: Path) -> bytes:
    """Return the 32 bytes in `path`, made at random on the first call."""
    if not path.exists():
        write_durably(path, [secrets.token_bytes(32)])
    return path.read_bytes()


def hashed_uid(key: bytes, uid: str) -> str:
    """Return what stands for a UID where it may not be told: 16 hexadecimal digits, the same for the same key."""
    return hmac.new(key, uid.encode(), hashlib.sha256).hexdigest()[:16]


def _hash_uids(key: bytes) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name in _UID_KEYS & event.keys():
            event[name] = hashed_uid(key, str(event[name]))
        return event

    return processor


def _silence_libraries() -> None:
    """Keep the DICOM libraries out of the logs: their messages quote element values, names of patients among them."""
    logging.captureWarnings(True)  # pydicom quotes values in warnings, too; they go to the logger "py.warnings"
    for name in ("pynetdicom", "pydicom", "highdicom", "apscheduler", "dicomweb_client", "urllib3", "py.warnings"):
        library = logging.getLogger(name)
        library.handlers = [logging.NullHandler()]
        library.propagate = False
