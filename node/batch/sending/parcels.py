"""Which files of a case a destination takes."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.deliver.destination import Parcel
from node.deliver.encoding import read_parcel
from node.domain.case import ObjectKind, Order, Wanted
from node.domain.findings import Verdict
from node.domain.series import Series
from node.encode.objects import Needed, needed_of
from node.errors import ResultDamaged, StoreFailed

_KEY_IMAGE = re.compile(r"key-([1-9][0-9]*)\.dcm")


def result_parcels(folder: Path, wanted: Wanted) -> list[Parcel]:
    """Return the objects in the folder of a case that a destination with these wishes gets: each SEG before its SR.

    They are those that the live node would send: of a rejected result the SR alone, which says so. Raises
    ResultDamaged where one is missing or damaged, and StoreFailed.
    """
    return [_parcel(path) for path in _files(folder, wanted)]


def image_parcels(series: Series) -> list[Parcel]:
    """Return the instances of a series, in the order of their slices. Raises ResultDamaged and StoreFailed."""
    return [_parcel(path) for path in dict.fromkeys(frame.path for frame in series.frames)]


def _parcel(path: Path) -> Parcel:
    """Return a file as a parcel; what is wrong with it is told with its name."""
    try:
        return read_parcel(path)
    except ResultDamaged as error:
        raise ResultDamaged(f"{path.name}: {error}") from None
    except StoreFailed as error:
        raise StoreFailed(f"{path.name}: {error}") from None


def _files(folder: Path, wanted: Wanted) -> list[Path]:
    found = _findings(folder)
    rejected = found["quality"]["verdict"] == Verdict.REJECT.value
    order = Order(wanted=frozenset({wanted}))
    files: list[Path] = []
    for needed in needed_of(order, found=bool(found["structures"]), rejected=rejected):
        if wanted in needed.wanted:
            files += _key_images(folder) if needed.kind is ObjectKind.KEY_IMAGE else [_file(folder, needed)]
    return files


def _findings(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "findings.json").read_bytes())
        _ = found["quality"]["verdict"], found["structures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultDamaged(f"findings.json cannot be read: {type(error).__name__}") from None
    return found


def _file(folder: Path, needed: Needed) -> Path:
    path = folder / f"{needed.stem}.dcm"
    if not path.is_file():
        raise ResultDamaged(f"there is no {path.name}: the batch did not make this form, or had no DICOM series")
    return path


def _key_images(folder: Path) -> Sequence[Path]:
    numbered = {int(match[1]): path for path in folder.iterdir() if (match := _KEY_IMAGE.fullmatch(path.name))}
    if not numbered:
        raise ResultDamaged("there is no key-1.dcm: the batch made no key images")
    return [numbered[number] for number in sorted(numbered)]
