"""The last segmentation of a series, kept so that a change of its headers alone needs no new inference.

An archive that corrects a name or a description sends the whole series again, with the same pixels. The objects are
made anew from the new headers; what the networks would answer is known: it follows from the voxels, their grid and the
engine. Losing a kept segmentation costs an inference and nothing else.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind
from node.domain.findings import Algorithm, Run, Segmentation
from node.domain.geometry import Volume
from node.durable import write_durably
from node.pipeline import Segmenter

_FOLDER = "segmentations"
#: The newest of so many series are kept; a few megabytes each at most.
_MOST = 64
_META = "meta.json"


class Recall:
    """A segmenter for one revision of a series, that answers what the revision before got where nothing differs."""

    def __init__(self, segmenter: Segmenter, state_dir: Path, series_uid: str, revision: int) -> None:
        self._segmenter = segmenter
        self._path = _path(state_dir, series_uid)
        self._look = revision > 1
        self._fresh: tuple[str, Segmentation] | None = None

    @property
    def algorithm(self) -> Algorithm:
        """What answers here."""
        return self._segmenter.algorithm

    def segment(self, volume: Volume) -> Segmentation:
        """Return the classes on the grid of `volume`. Raises what the segmenter raises, and OSError."""
        key = _key(volume, self._segmenter.algorithm)
        known = _read(self._path, key) if self._look else None
        if known is not None:
            return known
        made = self._segmenter.segment(volume)
        self._fresh = key, made
        return made

    def keep(self) -> None:
        """Keep what the segmenter answered for the next revision; nothing where it gave something up on the way.

        Raises OSError.
        """
        if self._fresh is None or self._fresh[1].run.fallbacks:
            return
        write_durably(self._path, [_packed(*self._fresh)])
        kept = sorted(self._path.parent.glob("*.zip"), key=_written, reverse=True)
        for old in kept[_MOST:]:
            old.unlink(missing_ok=True)


def forget(state_dir: Path, series_uid: str) -> None:
    """Delete what is kept of a series; nothing where there is nothing. Raises OSError."""
    _path(state_dir, series_uid).unlink(missing_ok=True)


def _path(state_dir: Path, series_uid: str) -> Path:
    return state_dir / _FOLDER / f"{hashlib.sha256(series_uid.encode()).hexdigest()[:32]}.zip"


def _written(path: Path) -> float:
    with suppress(FileNotFoundError):  # another worker deletes the oldest, too
        return path.stat().st_mtime
    return 0.0


def _key(volume: Volume, algorithm: Algorithm) -> str:
    """Return the digest of all that an answer follows from: pixels, geometry and engine."""
    voxels = np.ascontiguousarray(volume.voxels)
    about = [asdict(algorithm), volume.grid.shape, str(voxels.dtype), volume.acquired_in_3d]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(volume.grid.affine, dtype="<f8").tobytes())
    digest.update(voxels.tobytes())
    return digest.hexdigest()


def _packed(key: str, made: Segmentation) -> bytes:
    """Return a segmentation as a ZIP of its arrays, deflated quickly, and of JSON for the rest."""
    arrays = {"classes": made.classes}
    arrays |= {f"probability {kind.value}": values for kind, values in made.probabilities.items()}
    arrays |= {f"opinion {name}": values for name, values in made.opinions.items()}
    meta = {
        "key": key,
        "shape": made.classes.shape,
        "meanings": {str(value): kind.value for value, kind in made.meanings.items()},
        "arrays": {name: hashlib.sha256(values.tobytes()).hexdigest() for name, values in arrays.items()},
        "algorithm": asdict(made.algorithm),
        "run": asdict(made.run),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_META, json.dumps(meta))
        for name, values in arrays.items():
            archive.writestr(name, np.ascontiguousarray(values).tobytes())
    return packed.getvalue()


def _read(path: Path, key: str) -> Segmentation | None:
    """Return what is kept under `key`; None for another key, for nothing, and for what is damaged. Raises OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            meta = json.loads(archive.read(_META))
            if meta["key"] != key:
                return None
            shape = tuple(meta["shape"])
            arrays = {name: _array(archive, name, shape, digest) for name, digest in meta["arrays"].items()}
        return _segmentation(meta, arrays)
    except FileNotFoundError:
        return None
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, EOFError, RuntimeError):
        return None  # it will be replaced


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], digest: str) -> NDArray[np.uint8]:
    content = archive.read(name)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("not what was written")
    return np.frombuffer(bytearray(content), dtype=np.uint8).reshape(shape)


def _segmentation(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[np.uint8]]) -> Segmentation:
    named = [(*name.partition(" ")[::2], values) for name, values in arrays.items()]
    return Segmentation(
        classes=arrays["classes"],
        meanings={int(value): StructureKind(kind) for value, kind in meta["meanings"].items()},
        probabilities={StructureKind(name): values for what, name, values in named if what == "probability"},
        opinions={name: values for what, name, values in named if what == "opinion"},
        algorithm=Algorithm(**{**meta["algorithm"], "members": tuple(meta["algorithm"]["members"])}),
        run=Run(**{**meta["run"], **{name: tuple(meta["run"][name]) for name in ("members", "fallbacks")}}),
    )
