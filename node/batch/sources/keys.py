"""Keys of items that have no UID."""

import hashlib
import os
import re
from pathlib import Path

from node.assemble.nifti import NIFTI_SUFFIXES

_LONGEST = 150
_DIGEST = 12
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def key_of(relative: Path) -> str:
    """Return the key of a file by its path within the input.

    Its name without the suffix where that is a key; otherwise with other characters replaced, and a digest behind.

    >>> key_of(Path("593973-000003_Study-MR-3_Series-3.nii.gz"))
    '593973-000003_Study-MR-3_Series-3'
    >>> key_of(Path("a b/c.nii"))
    'a_b_c-aa9d78936e2e'
    """
    text = os.fsencode(relative).decode(errors="replace")
    for suffix in sorted((*NIFTI_SUFFIXES, ".zip"), key=len, reverse=True):
        if text.lower().endswith(suffix):
            text = text[: -len(suffix)]
            break
    if _PLAIN.fullmatch(text) and len(text) <= _LONGEST:
        return text
    return distinct(re.sub(r"[^A-Za-z0-9._-]", "_", text)[-_LONGEST:].lstrip("."), relative)


def distinct(key: str, path: Path) -> str:
    """Return `key` with a digest of `path` behind it."""
    return f"{key or 'image'}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:_DIGEST]}"
