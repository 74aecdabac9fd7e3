"""Where the results of a case lie, and what may be the name of one."""

import hashlib
import re
from pathlib import Path

from node.errors import InputError

#: No name begins with a dot: it would be hidden, or lead out of the folder.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def checked_key(key: str) -> str:
    """Return `key`, which names a case in ledgers and folders. Raises InputError where it cannot.

    >>> checked_key("1.2.840.113619.2")
    '1.2.840.113619.2'
    """
    if not _KEY.fullmatch(key):
        raise InputError("the key of a case is 1 to 200 letters, digits, dots, hyphens and underscores, no dot first")
    return key


def case_folder(out: Path, key: str) -> Path:
    """Return the folder of case `key` in the results at `out`; it need not be there. Raises InputError for no key.

    The folder above is named by the first two hexadecimal digits of the key's SHA-256, so that a million cases make
    256 folders of some 4,000 each.

    >>> case_folder(Path("out"), "a").as_posix()
    'out/cases/ca/a'
    """
    return out / "cases" / _sha256(checked_key(key))[:2] / key


def shard_of(key: str, count: int) -> int:
    """Return which of `count` shards a case belongs to, from 1: the key's SHA-256 as a number, modulo `count`.

    >>> shard_of("a", 2)
    2
    """
    return int(_sha256(key), 16) % count + 1


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("ascii")).hexdigest()
