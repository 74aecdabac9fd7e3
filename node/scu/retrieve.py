"""Fetching whole series from an archive into a folder, by C-GET (PS3.4 C.4.3): what a batch works on."""

import contextlib
from pathlib import Path
from typing import Any

from node.errors import NodeError, SystemFailed
from node.scu.association import Peer
from node.scu.get import Inbox, get_series
from node.scu.source import SeriesOfStudy

_SUCCESS = 0x0000
#: Refused: Out of Resources (PS3.4 B.2.3).
_OUT_OF_RESOURCES = 0xA700


def fetch_series(peer: Peer, series: SeriesOfStudy, folder: Path) -> list[Path]:
    """Fetch the MR images of a series into `folder`, which is made, and return their files; names are numbers.

    Each file is complete or not there; after an error none is left. All or nothing: a sub-operation that failed, an
    instance of another series, or fewer instances than the peer counts end it with RequestFailed, which may pass.
    Raises what `get_series` raises, and SystemFailed where a file cannot be written.
    """
    files = _Files(folder)
    inbox = Inbox(peer, series, files.keep)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        get_series(peer, series, inbox)
    except OSError as error:
        files.discard()
        raise _unwritable(error) from error
    except BaseException:
        files.discard()
        if files.error is not None:
            raise files.error from None
        raise
    return files.written


class _Files:
    """The files of one series."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written: list[Path] = []
        #: Why one could not be written.
        self.error: NodeError | None = None

    def keep(self, event: Any) -> int:
        """Write one instance, and return the status of its C-STORE."""
        path = self._folder / f"{len(self.written):06d}"
        try:
            temporary = path.with_name(f".{path.name}.part")
            temporary.write_bytes(event.encoded_dataset())
            temporary.replace(path)
        except OSError as error:
            self.error = _unwritable(error)
            return _OUT_OF_RESOURCES
        self.written.append(path)
        return _SUCCESS

    def discard(self) -> None:
        """Leave nothing of a series that did not come as a whole."""
        for path in (*self.written, *self._folder.glob(".??????.part")):
            with contextlib.suppress(OSError):
                path.unlink()


def _unwritable(error: OSError) -> SystemFailed:
    return SystemFailed(f"a fetched series cannot be written: {type(error).__name__}")
