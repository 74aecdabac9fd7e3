"""Programs that come with a token of their own, such as Prometheus (RFC 6750)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from node.errors import SettingsError
from node.settings import WebSettings
from node.web.access import Role, User

#: A token that is shorter can be guessed.
_LEAST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A program, and what it may."""

    user: User
    metrics_only: bool

    @staticmethod
    def of(bearers: Mapping[str, "Bearer"], token: str) -> "Bearer | None":
        """Return whose token this is, None when it is nobody's. Only digests are compared."""
        return bearers.get(hashlib.sha256(token.encode()).hexdigest())


def bearers_of(web: WebSettings, uid_key: bytes) -> dict[str, Bearer]:
    """Return the programs by the digest of their token. Raises SettingsError for a file without one."""
    bearers: dict[str, Bearer] = {}
    for number, token in enumerate(web.token):
        key = f"web.token[{number}].token_file"
        try:
            text = token.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{key}: {token.token_file} cannot be read as text") from error
        if len(text) < _LEAST:
            raise SettingsError(f"{key}: a token has at least {_LEAST} characters; `openssl rand -hex 32` makes one")
        user = User(
            name=token.name,
            role=Role.OPERATOR if token.role == "operator" else Role.VIEWER,
            sees_identifiers=token.sees_identifiers,
            uid_key=uid_key,
        )
        bearers[hashlib.sha256(text.encode()).hexdigest()] = Bearer(user=user, metrics_only=token.role == "metrics")
    return bearers
