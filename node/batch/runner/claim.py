"""One live process at a time works on a case, and a case that kills whoever works on it is found out.

    OUT/cases/<shard>/<key>/.claim
        started <session> <file of the ledger>    a line for each run that began and has not ended
        done <file of the ledger> <byte>          where the ledger says that it is done
        failed <file of the ledger> <byte> <request>     or how the last run failed, and who had asked for that one

The file is locked as long as its process works on the case (flock: the system lets go of it when the process dies). It
is never believed for what is done, only asked where the ledger may say so: the word that counts is read there.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from node.batch.runner.ledger import Record, Spot, State, find_record, read_record
from node.batch.runner.locks import lock

NAME = ".claim"
#: Runs that began and did not end, after which the case is taken for what ends them: of one session, and of all. A
#: session that dies takes the cases along that ran then, through no fault of theirs.
DEATHS_OF_A_SESSION = 3
DEATHS = 10

_MOST_BYTES = 1 << 16


class Claim:
    """The claim on a case, held within `with`. Raises OSError."""

    def __init__(self, folder: Path, session: str) -> None:
        """`folder`: of the case; it is made when it is missing. `session`: of the driver, one word."""
        self._path = folder / NAME
        self._session = session
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Wait until no other process works on the case."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        lock(self._descriptor, wait=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the case."""
        os.close(self._descriptor)

    def done(self, out: Path, task: str, mark: str) -> Record | None:
        """Return the record by which the case is done, or refused, under the task of digest `task`; the ledger's own.

        `mark`: of the input, `WorkItem.mark`; what was done of another counts for nothing, unless that is empty. A run
        that wrote its record and was killed before it could say so here is found too.
        """
        key = self._path.parent.name
        for word, *rest in self._lines():
            record = None
            match word, rest:
                case "done", [file, offset] if offset.isdecimal():
                    record = read_record(out, Spot(file=file, offset=int(offset)))
                case "started", [_, file]:
                    record = find_record(out, file, key)
            if record is None or record.state is State.FAILED:
                continue
            if (record.key, record.task, record.mark) == (key, task, mark or record.mark):
                return record
        return None

    def answered(self, out: Path, request: str) -> Record | None:
        """Return the record of the run that `request` asked for, where it failed: Dask may ask for the same twice."""
        for words in self._lines():
            match words:
                case ["failed", file, offset, asked] if offset.isdecimal() and asked == request:
                    return read_record(out, Spot(file=file, offset=int(offset)))
        return None

    def kills(self) -> bool:
        """Return whether the case has ended so many processes that it is not tried again."""
        sessions = [rest[0] for word, *rest in self._lines() if word == "started" and rest]
        return len(sessions) >= DEATHS or sessions.count(self._session) >= DEATHS_OF_A_SESSION

    def begin(self, file: str) -> None:
        """Note that a run begins, whose record will stand in `file` of the ledger."""
        os.lseek(self._descriptor, 0, os.SEEK_END)
        os.write(self._descriptor, f"started {self._session} {file}\n".encode())

    def end(self, spot: Spot, *, failed: str | None = None) -> None:
        """Note that the run has ended, by the ledger at `spot`; `failed`: whose request it was, where it failed."""
        place = f"{spot.file} {spot.offset}"
        text = (f"done {place}\n" if failed is None else f"failed {place} {failed}\n").encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _lines(self) -> list[list[str]]:
        text = os.pread(self._descriptor, _MOST_BYTES, 0).decode("ascii", "replace")
        return [words for line in text.splitlines() if (words := line.split())]
