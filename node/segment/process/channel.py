"""Messages over a socket: a header of `messages`, then the bytes of the array that belongs to it."""

import socket
import threading

import numpy as np
from numpy.typing import NDArray

from node.errors import EngineError
from node.framing import fill, receive_header, send_message
from node.segment.process.messages import Answer, Case, Message, array_shape, parse, whole_bytes

#: In bytes: far more than any MR series has, and less than would hurt before it is noticed.
LARGEST_ARRAY = 4 << 30

Array = NDArray[np.generic]


class Channel:
    """One end of the line. Several threads may send, one may receive."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Message, array: Array | None = None) -> None:
        """Send a message, and the array that belongs to it. Raises OSError when the other side is gone or stuck."""
        header = message.model_dump_json().encode()
        with self._sending:
            send_message(self._connection, header, b"" if array is None else _as_bytes(array))

    def receive(self) -> tuple[Message, Array | None]:
        """Return the next message and its array.

        Raises EOFError when the other side is gone, EngineError when it said something that is no message.
        """
        try:
            header = receive_header(self._connection)
        except ValueError as error:
            raise EngineError("the engine's process and the node do not understand each other") from error
        message = parse(header)
        if not isinstance(message, Case | Answer):
            return message, None
        if whole_bytes(message) > LARGEST_ARRAY:
            raise EngineError("the engine's process and the node do not understand each other")
        array = np.empty(array_shape(message), dtype=message.dtype)
        fill(self._connection, _as_bytes(array))
        return message, array

    def close(self) -> None:
        """Close this end; the other side reads the end of the line."""
        self._connection.close()


def _as_bytes(array: Array) -> memoryview:
    """Return the array's bytes, C order, in the byte order of this machine."""
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return native.reshape(-1).view(np.uint8).data
