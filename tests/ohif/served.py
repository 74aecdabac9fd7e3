"""OHIF's own build from npm, served beside an Orthanc's DICOMweb on one origin."""

import contextlib
import hashlib
import json
import subprocess
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import uvicorn
from peers import program
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from node.demo.archive import free_port

PACKAGE = "@ohif/app@3.13.2"
_SHA512 = (
    "5997719a9986eeba85816f5924b71b82bdd70ad2e2d4a0cd3e831a798e4f3deea3e06e1f8c48e393271933a0ba664d85"
    "f3b04ac457e9abe8dde715d907d13c10"
)

_SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "orthanc",
    "configuration": {
        "friendlyName": "Orthanc",
        "name": "orthanc",
        "wadoUriRoot": "/wado",
        "qidoRoot": "/dicom-web",
        "wadoRoot": "/dicom-web",
        "qidoSupportsIncludeField": False,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": False,
        "supportsWildcard": True,
    },
}
_CONFIG = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 1,
    "defaultDataSourceName": "orthanc",
    "dataSources": [_SOURCE],
}


def fetched(folder: Path) -> Path:
    """Fetch OHIF into `folder` with npm, unless it is there, and return its `dist`. Raises CalledProcessError."""
    dist = folder / "package" / "dist"
    if not (dist / "index.html").exists():
        folder.mkdir(parents=True, exist_ok=True)
        npm = program("npm")
        assert npm is not None, "no npm"
        told = subprocess.run(
            [npm, "pack", PACKAGE, "--json", "--pack-destination", str(folder)], check=True, capture_output=True
        )
        archive = folder / json.loads(told.stdout)[0]["filename"].replace("@", "").replace("/", "-")
        if hashlib.sha512(archive.read_bytes()).hexdigest() != _SHA512:
            raise ValueError(f"{PACKAGE} is not what it was")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    return dist


@contextlib.contextmanager
def serving(dist: Path, orthanc_url: str) -> Iterator[str]:
    """Serve OHIF and, on the same origin, DICOMweb of an Orthanc; give the address."""
    app = _app(dist, orthanc_url)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(address).raise_for_status()
        yield address
    finally:
        server.should_exit = True
        thread.join()


def _app(dist: Path, orthanc_url: str) -> Starlette:
    config = f"window.config = {json.dumps(_CONFIG)};"

    @contextlib.asynccontextmanager
    async def connected(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=orthanc_url, timeout=60) as client:
            app.state.orthanc = client
            yield

    async def from_orthanc(request: Request) -> Response:
        accepted = {"accept": request.headers.get("accept", "*/*")}
        path = f"{request.url.path}?{request.url.query}"
        answer = await request.app.state.orthanc.request(request.method, path, headers=accepted)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def from_dist(request: Request) -> Response:
        asked = (dist / request.path_params["path"]).resolve()
        if asked == dist / "app-config.js":
            return Response(config, media_type="text/javascript")
        found = asked if asked.is_file() and asked.is_relative_to(dist.resolve()) else dist / "index.html"
        return FileResponse(found)

    return Starlette(
        routes=[
            Route("/dicom-web/{path:path}", from_orthanc, methods=["GET", "POST"]),
            Route("/wado", from_orthanc),
            Route("/{path:path}", from_dist),
        ],
        lifespan=connected,
    )
