"""What every page stands on."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from node.journal.store import Store
from node.settings import Settings

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The settings, the journal (read only), and a way to the node that runs."""

    settings: Settings
    store: Store
    #: Returns the running node's answer to a request (`node.operations`), None where none runs. Raises SystemFailed.
    ask: Callable[[Document], Document | None]
    #: Key of the hashes that stand for UIDs: that of the logs, where it is known.
    uid_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


def site_of(request: Request) -> Site:
    """Return the site of the application that answers `request`."""
    site = request.app.state.site
    assert isinstance(site, Site)  # noqa: S101 - set by `node.web.app.build_app`
    return site


TheSite = Annotated[Site, Depends(site_of)]
