"""What the instances of a series say: who, what, by which scanner, and where its voxels lie."""

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from node.assemble.headers import Unreadable, gather
from node.assemble.volume import build_volume, lay_out
from node.batch.midrc.digests import md5_of, voxel_digest
from node.batch.midrc.exam import Place
from node.batch.midrc.layout import SeriesPlace
from node.batch.midrc.store import Copied, Store
from node.domain.geometry import Grid
from node.domain.series import Series
from node.errors import InputError, NotAnImage, NotDicom

#: Bytes of an instance that hold its header, but for some multi-frame objects.
_HEAD = 64 << 10
_WANTED = ["PatientID", "Manufacturer", "ManufacturerModelName", "MagneticFieldStrength", "SliceThickness"]
#: What pydicom raises for bytes that are no data set.
_UNPARSEABLE = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    AttributeError,
    TypeError,
    RecursionError,
    struct.error,
)
#: Above it a MagneticFieldStrength is meant in gauss.
_MOST_TESLA = 100.0
_GAUSS = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """What the elements say that no `Series` holds. `patients`: every PatientID; here they are pseudonyms."""

    patients: frozenset[str]
    manufacturer: str | None
    model: str | None
    field_strength_t: float | None
    slice_thickness_mm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """One series. `refused`: why its frames make no volume; then `grid` is None.

    `digest`: of the voxels, None where they were not read. `damaged`: why the pixels cannot be decoded.
    """

    series_uid: str
    study_uid: str
    instances: int
    modality: str | None
    acquisition: str | None
    scanner: Scanner
    grid: Grid | None
    refused: InputError | None
    damaged: InputError | None
    digest: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFacts:
    """What lies at the place of a series: as a rule one. `failed`: why nothing could be read.

    `unreadable`: damaged instances. `md5`: of the zip, None where it was not computed.
    """

    at: SeriesPlace
    series: tuple[SeriesFacts, ...] = ()
    unreadable: tuple[InputError, ...] = ()
    failed: InputError | None = None
    md5: str | None = None


def look_at_series(at: SeriesPlace, store: Store, scratch: Path, *, thorough: bool) -> PlaceFacts:
    """Return what lies at the place of a series, its headers; with `thorough` all bytes and pixels. Raises OSError."""
    md5 = None
    try:
        place = at.place
        if at.size is not None:
            local = store.local(at.place, scratch)
            md5 = md5_of(local) if thorough else None
            place = Place(container=local.parent, name=local.name)
        copied = store.instances(place, scratch, None if thorough else _HEAD)
        found, bad = gather([one.path for one in copied])
        if bad and not all(one.whole for one in copied):
            copied = store.instances(place, scratch)
            found, bad = gather([one.path for one in copied])
        series = tuple(_facts(one, thorough=thorough) for one in found)
    except InputError as error:
        return PlaceFacts(at=at, failed=error, md5=md5)
    damaged = tuple(_damaged(bad, copied))
    failed = None if series else (damaged or (NotDicom("no DICOM image lies in it"),))[0]
    return PlaceFacts(at=at, series=series, unreadable=damaged, failed=failed, md5=md5)


def _damaged(unreadable: Iterable[Unreadable], copied: Sequence[Copied]) -> Iterable[InputError]:
    """Return the errors of the files that should be instances: a text or a DICOMDIR beside them is none."""
    names = {one.path: one.name.lower() for one in copied}
    for bad in unreadable:
        if isinstance(bad.error, NotAnImage) or (
            isinstance(bad.error, NotDicom) and not names[bad.path].endswith(".dcm")
        ):
            continue
        yield bad.error


def _facts(series: Series, *, thorough: bool) -> SeriesFacts:
    grid, refused, damaged, digest = None, None, None, None
    try:
        grid = lay_out(series)[1]
        if thorough:
            volume = build_volume(series)
            digest = voxel_digest(volume.voxels, volume.grid)
    except InputError as error:
        if grid is None:
            refused = error
        else:
            damaged = error
    return SeriesFacts(
        series_uid=series.series_instance_uid,
        study_uid=series.study_instance_uid,
        instances=len({frame.sop_instance_uid for frame in series.frames}),
        modality=series.header.modality,
        acquisition=series.header.mr_acquisition_type,
        scanner=_scanner(dict.fromkeys(frame.path for frame in series.frames)),
        grid=grid,
        refused=refused,
        damaged=damaged,
        digest=digest,
    )


def in_tesla(field: float | None) -> float | None:
    """Return a field in T, which some older scanners give in gauss."""
    return field / _GAUSS if field is not None and field > _MOST_TESLA else field


def _scanner(paths: Iterable[Path]) -> Scanner:
    """Return what the instances say, the first of them speaking for the scanner."""
    headers = [_header(path) for path in paths]
    said = [header for header in headers if header is not None]
    first = said[0] if said else pydicom.Dataset()
    return Scanner(
        patients=frozenset(text for header in said if (text := _text(header, "PatientID"))),
        manufacturer=_text(first, "Manufacturer"),
        model=_text(first, "ManufacturerModelName"),
        field_strength_t=in_tesla(_number(first, "MagneticFieldStrength")),
        slice_thickness_mm=_number(first, "SliceThickness"),
    )


def _header(path: Path) -> pydicom.Dataset | None:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        return pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True, specific_tags=_WANTED, force=True)
    except _UNPARSEABLE:
        return None


def _text(header: pydicom.Dataset, keyword: str) -> str | None:
    return str(_value(header, keyword) or "").strip(" \0") or None


def _number(header: pydicom.Dataset, keyword: str) -> float | None:
    value = _value(header, keyword)
    return float(value) if isinstance(value, int | float) else None


def _value(header: pydicom.Dataset, keyword: str) -> Any:
    """Return a value, None where it is absent or not what its VR promises."""
    try:
        return header.get(keyword)
    except _UNPARSEABLE:
        return None
