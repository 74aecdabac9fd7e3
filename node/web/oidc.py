"""Sign-in at an OpenID provider: authorization code flow with PKCE, state and nonce, by Authlib.

What a token says of somebody's groups decides what they may; the roles stand in `[web.oidc]`.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from fastapi import HTTPException, Request
from fastapi.responses import Response
from joserfc.errors import JoseError

from node.errors import SettingsError
from node.log import get_logger
from node.settings.web import OidcSettings
from node.web.access import Role, User

CALLBACK = "/login/oidc/callback"
_TIMEOUT_S = 15.0
_CODE = re.compile(r"[a-z_]{1,40}", re.ASCII)
#: Authlib's names of what it keeps of sign-ins that have begun. A browser drops a cookie of more than 4096 bytes.
_BEGUN, _MOST_BEGUN = "_state_", 4
#: A provider that cannot be reached, or whose metadata are not JSON or lack an address.
_BROKEN = (httpx2.HTTPError, ValueError, RuntimeError)


class Provider:
    """The OpenID provider of the settings. `origin`: what the addresses of this site start with.

    Raises SettingsError for a secret or authorities that cannot be read.
    """

    def __init__(self, oidc: OidcSettings, *, origin: str) -> None:
        self.name = urlsplit(oidc.issuer).hostname or oidc.issuer
        self._oidc = oidc
        self._callback = origin.rstrip("/") + CALLBACK
        #: What an ID token must say, beside nonce and times (OpenID Connect Core 1.0, 3.1.3.7).
        self._claims = {
            "iss": {"essential": True, "value": oidc.issuer},
            "aud": {"essential": True, "value": oidc.client_id},
        }
        self._client = OAuth().register(
            "provider",
            client_id=oidc.client_id,
            client_secret=_secret(oidc),
            server_metadata_url=f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(oidc.scopes),
                "code_challenge_method": "S256",
                "timeout": _TIMEOUT_S,
                "verify": _trusted(oidc),
            },
        )

    async def sent_to(self, request: Request) -> Response:
        """Return the way to the provider's page. Raises HTTPException 502 where it does not answer."""
        begun = [key for key in request.session if key.startswith(_BEGUN)]
        for key in begun[: 1 - _MOST_BEGUN]:  # the oldest
            del request.session[key]
        try:
            answer = await self._client.authorize_redirect(request, self._callback)
        except _BROKEN as error:
            raise _unreachable(error) from error
        assert isinstance(answer, Response)  # noqa: S101 - a redirect of Starlette's
        return answer

    async def user(self, request: Request, uid_key: bytes) -> User:
        """Return who came back. Raises HTTPException 403 for who may not, 502 where the provider does not answer."""
        try:
            token = await self._client.authorize_access_token(request, claims_options=self._claims)
        except (AuthlibBaseError, JoseError) as error:
            get_logger().warning("sign-in failed", by="oidc", code=_code(str(error.error)))
            raise HTTPException(403, "the OpenID provider did not confirm this sign-in; try again") from error
        except _BROKEN as error:
            raise _unreachable(error) from error
        claims = token.get("userinfo")
        if not isinstance(claims, Mapping):
            raise HTTPException(403, "the OpenID provider did not say who this is")
        return user_of_claims(self._oidc, claims, uid_key)


def user_of_claims(oidc: OidcSettings, claims: Mapping[str, Any], uid_key: bytes) -> User:
    """Return whom the claims of an ID token describe. Raises HTTPException 403 for who is in no group of the settings.

    The provider's `sub` stands for who has no readable name.
    """
    said = claims.get(oidc.groups_claim)
    listed = said if isinstance(said, list) else [said]
    groups = {group for group in listed if isinstance(group, str)}
    name = str(claims.get(oidc.name_claim) or claims.get("sub", ""))[:64]
    if groups.intersection(oidc.operators):
        role = Role.OPERATOR
    elif groups.intersection(oidc.viewers):
        role = Role.VIEWER
    else:
        get_logger().warning("sign-in failed", by="oidc", code="no-group", user=name)
        raise HTTPException(403, "you are in no group that may look here; ask the administrator of the node")
    return User(
        name=name,
        role=role,
        sees_identifiers=bool(groups.intersection(oidc.see_identifiers)),
        uid_key=uid_key,
    )


def _code(said: str) -> str:
    """Return an error code as it may stand in the log: anybody can send one (RFC 6749 4.1.2.1)."""
    return said if _CODE.fullmatch(said) else "unknown"


def _unreachable(error: Exception) -> HTTPException:
    get_logger().error("OpenID provider failed", text=type(error).__name__)
    return HTTPException(502, "the OpenID provider does not answer as it should")


def _secret(oidc: OidcSettings) -> str:
    try:
        return oidc.client_secret_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"web.oidc.client_secret_file: {oidc.client_secret_file} cannot be read") from error


def _trusted(oidc: OidcSettings) -> ssl.SSLContext:
    """Return what judges the provider's certificate: the authorities of the settings, or else the system's."""
    try:
        return ssl.create_default_context(cafile=oidc.authorities)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"web.oidc.authorities: {oidc.authorities} holds no certificates") from error
