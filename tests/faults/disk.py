"""What a disk may hold after a power cut, from the record of all operations before it.

Two models. "strict": of a file the bytes of its last fsync, of a folder the names of its last fsync, and nothing else.
"torn": the same, and of what was not synced any part as well: each 512-byte sector of a write, each change of length,
and each change of names on its own; or the changes of names up to some point.
"""

import copy
import random
from dataclasses import dataclass, field
from pathlib import Path

from faults.recorder import ROOT, Operation

SECTOR = 512


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    now: dict[str, int] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)


class Disk:
    """Takes operations in order; at any point `restore` lays down what may be left of them."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._folders: dict[int, _Folder] = {ROOT: _Folder()}

    def apply(self, operation: Operation) -> None:
        """Let one operation happen."""
        if operation.what in {"write", "truncate"}:
            self._files[operation.node].pending.append(operation)
        elif operation.what == "fsync":
            file = self._files[operation.node]
            for pending in file.pending:
                _put(file.durable, pending)
            file.pending.clear()
        elif operation.what == "fsyncdir":
            folder = self._folders[operation.node]
            folder.durable = dict(folder.now)
            folder.pending.clear()
        else:
            self._rename(operation)

    def restore(self, into: Path, chooser: random.Random | None) -> None:
        """Lay down the disk in the folder `into`: strict without `chooser`, torn by its choice with one."""
        into.mkdir()
        self._restore(ROOT, into, chooser)

    def _rename(self, operation: Operation) -> None:
        if operation.what == "mkdir":
            self._folders[operation.target] = _Folder()
        elif operation.what == "create":
            self._files[operation.target] = _File()
        folder = self._folders[operation.node]
        _name(folder.now, operation)
        folder.pending.append(operation)

    def _restore(self, node: int, into: Path, chooser: random.Random | None) -> None:
        folder = self._folders[node]
        names = dict(folder.durable)
        for operation in _surviving(folder.pending, chooser):
            _name(names, operation)
        for name, target in names.items():
            if target in self._folders:
                (into / name).mkdir()
                self._restore(target, into / name, chooser)
            elif not name.endswith("-shm"):  # memory that happens to have a name
                (into / name).write_bytes(self._content(self._files[target], chooser))

    @staticmethod
    def _content(file: _File, chooser: random.Random | None) -> bytes:
        if chooser is None or not file.pending:
            return bytes(file.durable)
        content = copy.copy(file.durable)
        share = chooser.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for operation in file.pending:
            for part in _sectors(operation):
                if chooser.random() < share:
                    _put(content, part)
        return bytes(content)


def _surviving(pending: list[Operation], chooser: random.Random | None) -> list[Operation]:
    if chooser is None:
        return []
    if chooser.random() < 0.5:
        return pending[: chooser.randint(0, len(pending))]
    return [operation for operation in pending if chooser.random() < 0.5]


def _name(names: dict[str, int], operation: Operation) -> None:
    if operation.what in {"create", "mkdir", "link"}:
        names[operation.name] = operation.target
    elif operation.what == "unlink":
        names.pop(operation.name, None)
    else:
        names.pop(operation.name, None)
        names[operation.new_name] = operation.target


def _put(content: bytearray, operation: Operation) -> None:
    if operation.what == "truncate":
        del content[operation.offset :]
    missing = operation.offset - len(content)
    content.extend(bytes(max(0, missing)))
    content[operation.offset : operation.offset + len(operation.content)] = operation.content


def _sectors(operation: Operation) -> list[Operation]:
    """Return a write as one write for each sector that it touches."""
    if operation.what == "truncate":
        return [operation]
    parts, at, end = [], operation.offset, operation.offset + len(operation.content)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        content = operation.content[at - operation.offset : until - operation.offset]
        parts.append(operation._replace(offset=at, content=content))
        at = until
    return parts
