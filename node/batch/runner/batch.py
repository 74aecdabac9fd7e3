"""What the batch in a folder is: `OUT/batch.json`, and who may work on it."""

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from node import __version__
from node.batch.runner.folder import shard_of
from node.batch.runner.ledger import FOLDER
from node.batch.runner.locks import held
from node.durable import fsync_folder, make_folder_durably, write_durably
from node.errors import InputError, JournalDamaged, SettingsError

FILE = "batch.json"
_FORMAT = 1
_LOCK = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch: one task over many items, in one folder."""

    #: A random name; another one after `--anew`.
    name: str
    #: Digest of the task.
    task: str
    #: Of the software that began it.
    version: str
    #: Seconds since 1970.
    begun_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Part `number`, from 1, of `count` parts of a batch: the cases whose key falls there."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return "2/8" as a shard. Raises SettingsError.

        >>> Shard.parse("2/8")
        Shard(number=2, count=8)
        """
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise SettingsError(f"--shard {text}: two numbers as in 2/8, the second the number of parts")
        return cls(number=int(number), count=int(count))

    def has(self, key: str) -> bool:
        """Return whether the case falls here."""
        return shard_of(key, self.count) == self.number


@contextlib.contextmanager
def occupied(out: Path, task: str, shard: Shard | None, *, anew: bool) -> Iterator[Batch]:
    """Hold the batch in `out`, or this shard of it, begun where there is none; `anew` lets another task replace it.

    Raises BatchInterrupted where another driver works there, SettingsError where the batch is of another task,
    InputError where `out` holds something else, OSError.
    """
    make_folder_durably(out)
    if anew:
        with held(out, _LOCK):
            _make_way(out, task)
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(out, _LOCK, shared=shard is not None))
        if shard is not None:
            stack.enter_context(held(out, f"shard-{shard.number}-of-{shard.count}"))
        yield _opened(out, task)


def read_batch(out: Path) -> Batch:
    """Return the batch in `out`. Raises InputError where there is none, JournalDamaged where it cannot be read."""
    try:
        document = json.loads((out / FILE).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{out}: no batch: there is no {FILE}") from None
    except ValueError as error:
        raise JournalDamaged(f"{out / FILE}: not as it was written") from error
    try:
        if document.pop("format") != _FORMAT:
            raise InputError(f"{out / FILE}: written by another version of this software")
        return Batch(**document)
    except (TypeError, KeyError, AttributeError) as error:
        raise JournalDamaged(f"{out / FILE}: not as it was written") from error


def _opened(out: Path, task: str) -> Batch:
    if not (out / FILE).exists():
        if (out / FOLDER).exists():
            raise JournalDamaged(f"{out}: a ledger without {FILE}, which says of what; --anew begins a new batch")
        _begin(out, task)
    batch = read_batch(out)
    if batch.task != task:
        raise SettingsError(
            f"{out} holds the results of another task (bundle, settings or version differ): give another --out, "
            f"or --anew to do all of it anew"
        )
    return batch


def _begin(out: Path, task: str) -> None:
    """Write `batch.json` unless another driver is faster."""
    batch = Batch(name=secrets.token_hex(8), task=task, version=__version__, begun_at=time.time())
    mine = out / f".{batch.name}.{FILE}"
    write_durably(mine, [(json.dumps({"format": _FORMAT, **asdict(batch)}, indent=2) + "\n").encode()])
    with contextlib.suppress(FileExistsError):
        os.link(mine, out / FILE)
    mine.unlink()
    fsync_folder(out)


def _make_way(out: Path, task: str) -> None:
    """Put the ledger of another task aside: what it says holds no longer, its folders are written over."""
    with contextlib.suppress(InputError, JournalDamaged):
        if read_batch(out).task == task:
            return
    if (out / FOLDER).exists():
        (out / FOLDER).rename(out / f"{FOLDER}.before-{secrets.token_hex(4)}")
    (out / FILE).unlink(missing_ok=True)
    fsync_folder(out)
