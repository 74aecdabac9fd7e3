"""The codecs' process: `python -m node.assemble.codec.child FD`, where FD is its end of the line to the node.

Its standard input is a pipe that the node holds and never writes to: when the node dies, however it dies, the kernel
ends this process with SIGIO, also in the middle of a codec that holds Python's lock. SIGINT and SIGTERM are for the
node. It may take so much memory as the work at hand asks for, writes no file, and leaves no core behind.
"""

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
from pathlib import Path

from node.assemble.codec.streams import cells_of
from node.assemble.codec.work import Answer, Refused, Work
from node.assemble.pixel_format import IntegerArray
from node.framing import fill, receive_header, send_message

READY = b"ready"
#: When memory runs out the kernel is to take this process, not the one that listens (proc(5), oom_score_adj).
_FIRST_TO_GO = "500"
#: Beyond what is mapped once everything is imported: room for a small frame and for what codecs forget to free.
_ROOM_BYTES = 512 << 20
#: OpenJPEG keeps two 32-bit cells a voxel, pydicom's plugins copy the result two or three times.
_BYTES_PER_VOXEL = 48
#: A codec that has forgotten so much makes way for a new process.
_WASTE_BYTES = 256 << 20


def serve(connection: socket.socket) -> None:
    """Decode what the node sends until the line ends, or until too much memory was lost on the way."""
    imported = _mapped_bytes()
    send_message(connection, READY)
    with contextlib.suppress(EOFError, OSError):
        while _mapped_bytes() < imported + _WASTE_BYTES:
            work = Work.of(receive_header(connection))
            voxels = work.pixel_format.rows * work.pixel_format.columns
            _limit_memory(imported + _ROOM_BYTES + _BYTES_PER_VOXEL * voxels + 4 * work.length)
            raw = bytearray(work.length)
            fill(connection, memoryview(raw))
            _answer(connection, work, bytes(raw))


def _answer(connection: socket.socket, work: Work, raw: bytes) -> None:
    """Send the frames one by one; the first that has no cells is the last answer."""
    try:
        for cells in cells_of(raw, work.pixel_format, work.numbers):
            _send(connection, Answer.CELLS, cells)
    except Refused as refused:
        _send(connection, refused.answer)


def _send(connection: socket.socket, answer: Answer, cells: IntegerArray | None = None) -> None:
    header = json.dumps({"answer": answer.value}).encode()
    send_message(connection, header, b"" if cells is None else cells.tobytes())


def _end_with_the_node() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    lifeline = sys.stdin.fileno()
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it had ended before anybody listened
        sys.exit()


def _limit_memory(limit: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main() -> None:
    """Serve the node at the other end of the descriptor in the arguments."""
    _end_with_the_node()
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    serve(connection)


if __name__ == "__main__":
    main()
