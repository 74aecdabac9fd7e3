"""Messages over a socket: how many bytes the header has, the header, the bytes of the array."""

import socket
import struct
import threading

import numpy as np
from numpy.typing import NDArray

from node.errors import EngineError
from node.segment.process.messages import Answer, Case, Message, array_shape, parse, whole_bytes

_LENGTH = struct.Struct("!I")
_LARGEST_HEADER = 1 << 20
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
            self._connection.sendall(_LENGTH.pack(len(header)) + header)
            if array is not None:
                self._connection.sendall(_as_bytes(array))

    def receive(self) -> tuple[Message, Array | None]:
        """Return the next message and its array.

        Raises EOFError when the other side is gone, EngineError when it said something that is no message.
        """
        header = self._exactly(_LENGTH.size)
        length = _LENGTH.unpack(header)[0]
        if length > _LARGEST_HEADER:
            raise EngineError("the engine's process and the node do not understand each other")
        message = parse(self._exactly(length))
        if not isinstance(message, Case | Answer):
            return message, None
        if whole_bytes(message) > LARGEST_ARRAY:
            raise EngineError("the engine's process and the node do not understand each other")
        array = np.empty(array_shape(message), dtype=message.dtype)
        self._fill(_as_bytes(array))
        return message, array

    def close(self) -> None:
        """Close this end; the other side reads the end of the line."""
        self._connection.close()

    def _exactly(self, length: int) -> bytes:
        buffer = bytearray(length)
        self._fill(memoryview(buffer))
        return bytes(buffer)

    def _fill(self, view: memoryview) -> None:
        while view:
            try:
                count = self._connection.recv_into(view)
            except OSError as error:
                raise EOFError from error
            if count == 0:
                raise EOFError
            view = view[count:]


def _as_bytes(array: Array) -> memoryview:
    """Return the array's bytes, C order, in the byte order of this machine."""
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return native.reshape(-1).view(np.uint8).data
