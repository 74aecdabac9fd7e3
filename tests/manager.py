"""systemd, as far as a service hears of it: the socket that NOTIFY_SOCKET names."""

import socket
from pathlib import Path

PATIENCE_S = 60.0


class Manager:
    """Hears what a service says."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_S)

    def hear(self) -> str:
        """Return the next thing that the service says."""
        return self._socket.recv(4096).decode()

    def has_heard_all(self) -> bool:
        """Say whether the service has said nothing that was not heard."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()
