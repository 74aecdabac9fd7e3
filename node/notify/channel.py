"""A way to tell somebody, and the secrets that it needs."""

from pathlib import Path
from typing import Protocol

from node.errors import DestinationMisconfigured
from node.notify.message import Message


class Channel(Protocol):
    """A way. Both methods raise DeliveryError: PeerUnreachable, RequestFailed or DestinationMisconfigured."""

    def send(self, message: Message, /) -> None:
        """Hand a message over; on return the other side has taken it."""

    def reach(self) -> None:
        """Ask whether the other side is there, without telling it anything."""

    def hang_up(self) -> None:
        """End what another thread says here, and what it begins later; it gets PeerUnreachable."""


def secret(key: str, path: Path) -> str:
    """Return what a file holds, without the end of its line. Raises DestinationMisconfigured."""
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationMisconfigured(f"{key}: cannot be read: {type(error).__name__}") from None
    if not text:
        raise DestinationMisconfigured(f"{key}: the file is empty")
    return text
