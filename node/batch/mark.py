"""What an input looks like from outside, so that a case whose input has changed is done again.

Nothing is read: sizes, times and numbers of files, as make(1) and rsync(1) go by. What cannot be looked at, such as on
a disk that is not mounted, is no change: results that are there stay.
"""

import hashlib
from pathlib import Path

_DIGITS = 16


def mark_of(*parts: object) -> str:
    """Return a short digest of `parts`, by what they print as; "" where one is None, which nobody could look at."""
    if None in parts:
        return ""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")).hexdigest()[:_DIGITS]


def looks_of(path: Path) -> str | None:
    """Return size and time of the file at `path`, None where it cannot be looked at."""
    try:
        about = path.stat()
    except OSError:
        return None
    return f"{about.st_size} {about.st_mtime_ns}"
