"""The viewer of a case: images and structures, slice by slice.

    /cases/{case}/viewer                      the page
    /cases/{case}/viewer/scene.json           what is shown, below
    /cases/{case}/viewer/{key}/image/{slice}  values of a slice, row by row, little endian, of the type in the scene
    /cases/{case}/viewer/{key}/labels/{slice} numbers of segments, 0 = none, likewise
    /cases/{case}/viewer/overlay.png          the picture that was drawn with the results

The scene: key, first (slice to begin with), slices, rows, columns, image_type and label_type ("int16", "uint8" ...;
label_type null without a SEG), spacing_mm [slices, rows, columns], affine (4 x 4, slice, row and column to LPS mm),
edges (what lies at the left, right, top and bottom of the picture: A, P, H, F as in PS3.3 C.7.6.1.1.1), windows[]
(name, centre, width, function: LINEAR, LINEAR_EXACT or SIGMOID as in PS3.3 C.11.2.1), lowest_is_white (the images are
MONOCHROME1: what a window makes black is shown white), segments[] (number, name, colour [red, green, blue], volume_mm3,
largest_at: its slice with the largest area). A key that is not that of the scene any more is answered 409: labels of
one result never come to lie on the images of another.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import Field

from node.errors import InputError, ResultDamaged, SystemFailed
from node.web.access import Viewer
from node.web.asked import CaseNumber
from node.web.render import page
from node.web.scenes import Scene, Scenes

router = APIRouter()

#: Where a segment's colour is not given.
_GREY = (160, 160, 160)

SliceIndex = Annotated[int, Field(ge=0, le=20_000)]
Key = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


def scenes_of(request: Request) -> Scenes:
    """Return the scenes of the application that answers `request`."""
    scenes = request.app.state.scenes
    assert isinstance(scenes, Scenes)  # noqa: S101 - set by `node.web.app.build_app`
    return scenes


TheScenes = Annotated[Scenes, Depends(scenes_of)]


@router.get("/cases/{case}/viewer")
def viewer(request: Request, case: CaseNumber, scenes: TheScenes, _user: Viewer) -> HTMLResponse:
    """Return the page; where the images cannot be shown it says why. Raises UnknownCase, JournalError."""
    shown: dict[str, Any] = {"case": case, "findings": None, "scene": None, "refused": None}
    try:
        shown["findings"] = _findings(scenes, case)
        shown["scene"] = _document(_scene(scenes, case), shown["findings"])
    except (ResultDamaged, InputError, SystemFailed) as error:
        shown["refused"] = error
    return page(request, "viewer.html.j2", has_overlay=scenes.overlay(case) is not None, **shown)


@router.get("/cases/{case}/viewer/scene.json")
def scene_document(case: CaseNumber, scenes: TheScenes, _user: Viewer) -> JSONResponse:
    """Return what is shown."""
    return JSONResponse(_document(_scene(scenes, case), _findings(scenes, case)))


@router.get("/cases/{case}/viewer/overlay.png")
def overlay(case: CaseNumber, scenes: TheScenes, _user: Viewer) -> FileResponse:
    """Return the picture that was drawn with the results."""
    path = scenes.overlay(case)
    if path is None:
        raise HTTPException(404, "this case has no picture")
    return FileResponse(path, media_type="image/png")


@router.get("/cases/{case}/viewer/{key}/image/{index}")
def image(case: CaseNumber, key: Key, index: SliceIndex, scenes: TheScenes, _user: Viewer) -> Response:
    """Return the values of a slice."""
    scene = _of_key(_scene(scenes, case), key, index)
    return Response(scene.voxels[index].tobytes(), media_type="application/octet-stream")


@router.get("/cases/{case}/viewer/{key}/labels/{index}")
def labels(case: CaseNumber, key: Key, index: SliceIndex, scenes: TheScenes, _user: Viewer) -> Response:
    """Return the segment numbers of a slice."""
    scene = _of_key(_scene(scenes, case), key, index)
    if scene.labels is None:
        raise HTTPException(404, "this case has no SEG")
    return Response(scene.labels[index].tobytes(), media_type="application/octet-stream")


def _scene(scenes: Scenes, case: int) -> Scene:
    """Return the scene of a case. Raises NodeError; SystemFailed for files that cannot be read."""
    try:
        return scenes.scene(case)
    except OSError as error:
        raise SystemFailed(f"a file of this case cannot be read: {error.strerror}") from error


def _findings(scenes: Scenes, case: int) -> Mapping[str, Any] | None:
    try:
        return scenes.findings(case)
    except OSError as error:
        raise SystemFailed(f"a file of this case cannot be read: {error.strerror}") from error


def _of_key(scene: Scene, key: str, index: int) -> Scene:
    if scene.key != key:
        raise HTTPException(409, "the case has new images or results; load the page again")
    if index >= scene.voxels.shape[0]:
        raise HTTPException(404, "there is no such slice")
    return scene


def _document(scene: Scene, findings: Mapping[str, Any] | None) -> dict[str, Any]:
    slices, rows, columns = scene.grid.shape
    volumes = _volumes_mm3(findings)
    largest = scene.largest_at
    return {
        "key": scene.key,
        "first": scene.first,
        "slices": slices,
        "rows": rows,
        "columns": columns,
        "image_type": scene.voxels.dtype.name,
        "label_type": None if scene.labels is None else scene.labels.dtype.name,
        "spacing_mm": scene.grid.spacing_mm,
        "affine": scene.grid.affine.tolist(),
        "edges": {"left": "A", "right": "P", "top": "H", "bottom": "F"},
        "windows": [asdict(one) for one in scene.windows],
        "lowest_is_white": scene.lowest_is_white,
        "segments": [
            {
                "number": segment.number,
                "name": segment.name,
                "colour": segment.colour or _GREY,
                "volume_mm3": volumes.get(segment.number),
                "largest_at": largest[segment.number],
            }
            for segment in scene.segments
        ],
    }


def _volumes_mm3(findings: Mapping[str, Any] | None) -> dict[int, float]:
    """Return what was measured, summed over the structures that share a segment."""
    volumes: dict[int, float] = {}
    for found in () if findings is None else findings["structures"]:
        volumes[found["segment"]] = volumes.get(found["segment"], 0.0) + found["volume_mm3"]
    return volumes
