"""What an input looks like from outside, so that a case whose input has changed is done again.

Nothing is read: sizes, times and numbers of files, as make(1) and rsync(1) go by.
"""

import hashlib
from pathlib import Path

_DIGITS = 16


def mark_of(*parts: object) -> str:
    """Return a short digest of `parts`, by what they print as."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")).hexdigest()[:_DIGITS]


def looks_of(path: Path) -> str:
    """Return size and time of the file at `path`, or how many entries the folder there has; "none" for neither.

    Raises OSError, but not for a path that is not there.
    """
    if path.is_dir():
        return f"folder of {sum(1 for _ in path.iterdir())}"
    try:
        about = path.stat()
    except FileNotFoundError:
        return "none"
    return f"{about.st_size} {about.st_mtime_ns}"
