"""An OpenID provider in a thread, which signs in whomever the test says, or lies as the test says."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from webserver import Reply, Request, web_server

CLIENT, SECRET = "cspine-node", "the secret of the client"
_JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class OpenIdProvider:
    """`claims`: what the next ID token says, over what it should; `key`: what it is signed with, None for the own."""

    claims: dict[str, Any] = field(default_factory=dict)
    key: RSAKey | None = None
    #: Path -> what is answered there instead.
    replies: dict[str, Reply] = field(default_factory=dict)
    issuer: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    nonce: str = ""
    _own: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "own"}))

    def answer(self, request: Request) -> Reply:
        path = urlsplit(request.path).path.removeprefix(urlsplit(self.issuer).path)
        if path in self.replies:
            return self.replies[path]
        if path == "/.well-known/openid-configuration":
            return Reply(
                body={
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "id_token_signing_alg_values_supported": ["RS256"],
                },
                headers=_JSON,
            )
        if path == "/keys":
            return Reply(body={"keys": [self._own.as_dict(private=False)]}, headers=_JSON)
        if path == "/token":
            fields = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            self.asked.append({**fields, "authorization": request.headers.get("Authorization", "")})
            token = {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token()}
            return Reply(body=token, headers=_JSON)
        return Reply(status=404, body=b"")

    def id_token(self) -> str:
        """Return an ID token (OpenID Connect Core 1.0, 2) as the claims say."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "s-1", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": self.nonce}
        claims.update(self.claims)
        sound = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "own"}, sound, self.key or self._own)

    def asked_to_sign_in(self, location: str) -> dict[str, str]:
        """Return the parameters with which somebody was sent here, and remember the nonce."""
        assert location.startswith(f"{self.issuer}/authorize?")
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        self.nonce = parameters["nonce"]
        return parameters

    def settings(self, secret_file: Any) -> dict[str, Any]:
        """Return the keys of `[web.oidc]` for this provider."""
        return {
            "issuer": self.issuer,
            "client_id": CLIENT,
            "client_secret_file": secret_file,
            "viewers": ["radiology"],
            "operators": ["administrators"],
            "see_identifiers": ["radiology"],
        }


@contextmanager
def openid_provider(*, context: ssl.SSLContext | None = None) -> Iterator[OpenIdProvider]:
    """Run a provider until the block ends."""
    provider = OpenIdProvider()
    with web_server(provider.answer, context=context) as url:
        provider.issuer = url
        yield provider
