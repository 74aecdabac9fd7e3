"""The models: those of the library, what each says of itself, which one is in use.

/models                       the page
/models/{name}/verify   POST  hold every file of a bundle against its digest
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from node.errors import BundleError, NodeError
from node.journal import schema
from node.journal.store import Store
from node.segment.bundle import STARTER, Manifest, load_bundle, read_manifest
from node.segment.models.library import Library
from node.settings import STARTER_BUNDLE, Settings
from node.web.access import Operator, Viewer
from node.web.render import page
from node.web.scenes import Scenes
from node.web.site import Site, TheSite
from node.web.viewer import TheScenes

router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBundle:
    """A bundle on the page: what it says of itself, or the error that keeps it from being read."""

    name: str
    folder: Path
    in_use: bool
    manifest: Manifest | None
    digest: str | None
    error: NodeError | None

    @property
    def figures(self) -> Sequence[tuple[str, str]]:
        """What came with the model, one value a row: where it stands, and the value."""
        return [] if self.manifest is None else list(_leaves({**self.manifest.source, **self.manifest.evaluation}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What came of holding the files of a bundle against their digests."""

    name: str
    files: int
    took_s: float
    error: NodeError | None


@router.get("/models")
def models(request: Request, site: TheSite, scenes: TheScenes, _user: Viewer) -> HTMLResponse:
    """Return the page."""
    return _page(request, site, scenes)


@router.post("/models/{name}/verify")
def verify(request: Request, name: str, site: TheSite, scenes: TheScenes, _user: Operator) -> HTMLResponse:
    """Read every file of a bundle and compare it with its digest; for a large model that takes a while."""
    begun = time.perf_counter()
    bundle = _bundle(site.settings, name)
    error: NodeError | None = None
    try:
        load_bundle(bundle.folder)
    except BundleError as raised:
        error = raised
    files = 0 if bundle.manifest is None else len(bundle.manifest.files)
    verified = Verified(name=name, files=files, took_s=time.perf_counter() - begun, error=error)
    if "hx-request" in request.headers:
        return page(request, "verified.html.j2", verified=verified)
    return _page(request, site, scenes, verified)


def _page(request: Request, site: Site, scenes: Scenes, verified: Verified | None = None) -> HTMLResponse:
    settings = site.settings.model
    shown: dict[str, Any] = {
        "bundles": _bundles(site.settings),
        "settings": settings,
        "library": site.settings.node.models_dir,
        "last": _last_answer(site.store, scenes),
        "verified": verified,
    }
    return page(request, "models.html.j2", **shown)


def _bundles(settings: Settings) -> Sequence[ShownBundle]:
    """Return the bundle in use, the starter and those of the library, each once."""
    library = Library(folder=settings.node.models_dir)
    places = {STARTER_BUNDLE: STARTER, **{name: library.place(name) for name in library.names()}}
    wanted = _wanted(settings)
    if wanted not in places.values():
        places[f"{wanted.name} of the settings" if wanted.name in places else wanted.name] = wanted
    shown = [_shown(name, folder, in_use=folder == wanted) for name, folder in places.items()]
    return sorted(shown, key=lambda one: not one.in_use)


def _bundle(settings: Settings, name: str) -> ShownBundle:
    """Return a bundle of the page by its name. Raises HTTPException 404."""
    found = next((one for one in _bundles(settings) if one.name == name), None)
    if found is None:
        raise HTTPException(404, "no bundle of the page has this name")
    return found


def _wanted(settings: Settings) -> Path:
    bundle = settings.model.bundle
    return STARTER if bundle == STARTER_BUNDLE else Path(bundle)


def _shown(name: str, folder: Path, *, in_use: bool) -> ShownBundle:
    try:
        manifest, digest = read_manifest(folder)
    except BundleError as error:
        return ShownBundle(name=name, folder=folder, in_use=in_use, manifest=None, digest=None, error=error)
    return ShownBundle(name=name, folder=folder, in_use=in_use, manifest=manifest, digest=digest, error=None)


def _last_answer(store: Store, scenes: Scenes) -> tuple[int, Any] | None:
    """Return the newest case that has results, and its `findings.json`; None where it is purged or there is none."""
    case, result = schema.case, schema.result
    newest = select(result.c.case_id).join(case, case.c.id == result.c.case_id).where(~case.c.purged)
    with store.reading() as connection:
        number = connection.execute(newest.order_by(result.c.case_id.desc()).limit(1)).scalar()
    findings = None if number is None else scenes.findings(number)
    return None if number is None or findings is None else (number, findings)


def _leaves(value: object, *path: str) -> Iterator[tuple[str, str]]:
    """Yield every single value of a document with its path; a list of documents is only counted."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, *path, str(key).replace("_", " "))
    elif isinstance(value, list | tuple) and any(isinstance(part, Mapping) for part in value):
        yield " / ".join(path), f"{len(value)} entries, in bundle.json"
    elif isinstance(value, list | tuple):
        yield " / ".join(path), ", ".join(map(str, value))
    else:
        yield " / ".join(path), str(value)
