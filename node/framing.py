"""Messages between the node and a process of its own: how many bytes the header has, the header, the bytes after it.

A header is JSON, and what follows it is as long as the header says. Nothing that either side could run as code crosses.
"""

import socket
import struct

_LENGTH = struct.Struct("!I")
_LARGEST_HEADER = 1 << 20


def send_message(connection: socket.socket, header: bytes, content: bytes | memoryview = b"") -> None:
    """Send a header and what belongs to it. Raises OSError when the other side is gone or stuck."""
    connection.sendall(_LENGTH.pack(len(header)) + header)
    if content:
        connection.sendall(content)


def receive_header(connection: socket.socket) -> bytes:
    """Return the next header.

    Raises EOFError when the other side is gone, TimeoutError when it says nothing for as long as the connection waits,
    and ValueError when what it said is no header.
    """
    prefix = bytearray(_LENGTH.size)
    fill(connection, memoryview(prefix))
    (length,) = _LENGTH.unpack(prefix)
    if length > _LARGEST_HEADER:
        raise ValueError("a header longer than any")
    header = bytearray(length)
    fill(connection, memoryview(header))
    return bytes(header)


def fill(connection: socket.socket, view: memoryview) -> None:
    """Receive as many bytes as `view` has. Raises EOFError and TimeoutError as `receive_header` does."""
    while view:
        try:
            count = connection.recv_into(view)
        except TimeoutError:
            raise
        except OSError as error:
            raise EOFError from error
        if count == 0:
            raise EOFError
        view = view[count:]
