"""Which route would take a file, and why: the rules of every route held against what somebody brings.

Nothing is stored, nothing is sent: what was brought lies in a temporary folder until the answer is there.
"""

import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from node.assemble.headers import Unreadable, gather
from node.assemble.volume import lay_out
from node.domain.case import Reason
from node.domain.geometry import Grid
from node.domain.series import Series, SeriesHeader
from node.errors import InputError, UnsafeArchive
from node.receive.archive import Limits, unpack
from node.receive.headers import Identity, read_identity
from node.select import objections
from node.settings import RouteSettings
from node.verdict import OWN_RESULT

#: What a zip may unpack to here: a large study, not an archive.
LIMITS = Limits(files=5_000, size=4 << 30)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_AXES = (("sagittal", 0), ("coronal", 1), ("axial", 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTried:
    """A route, and everything that speaks against it; nothing where it fits."""

    name: str
    objections: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTried:
    """A series among what was brought.

    `taken_by`: the route that would take it, None for none. `hindrances`: what would keep it from being segmented
    although a route fits, or without asking any. `grid`: of its volume, None where it makes none.
    """

    series_uid: str
    header: SeriesHeader
    frames: int
    routes: tuple[RouteTried, ...]
    taken_by: str | None
    hindrances: tuple[Reason, ...]
    grid: Grid | None

    @property
    def plane(self) -> str | None:
        """The plane that the slices lie closest to, with their tilt; None without a common orientation."""
        normal = self.header.slice_orientation
        if normal is None:
            return None
        name, axis = max(_AXES, key=lambda item: abs(normal[item[1]]))
        return f"{name}, {math.degrees(math.acos(min(1.0, abs(normal[axis])))):.0f} degrees off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Everything that was brought. `others`: files of no series, by what they are: (code, sentence) -> how many."""

    files: int
    series: tuple[SeriesTried, ...]
    others: Mapping[tuple[str, str], int]


def try_upload(upload: BinaryIO, routes: Sequence[RouteSettings], limits: Limits = LIMITS) -> Tried:
    """Return what would become of a DICOM file, or of the files of a zip. Raises UnsafeArchive, OSError."""
    with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch:
        brought = Path(scratch) / "brought"
        with brought.open("wb") as file:
            shutil.copyfileobj(upload, file)
        files: Sequence[Path] = [brought]
        if _is_zip(brought):
            folder = Path(scratch) / "unpacked"
            folder.mkdir()
            files = _unpacked(brought, folder, limits)
        return try_files(files, routes)


def try_files(files: Sequence[Path], routes: Sequence[RouteSettings]) -> Tried:
    """Return what would become of files. Raises OSError."""
    identities = {path: identity for path in files if (identity := _identity(path)) is not None}
    found, unreadable = gather(files)
    damage: dict[str, list[Unreadable]] = {series.series_instance_uid: [] for series in found}
    others: list[Unreadable] = []
    for item in unreadable:
        identity = identities.get(item.path)
        damage.get(identity.series_uid if identity is not None else "", others).append(item)
    return Tried(
        files=len(files),
        series=tuple(_tried(series, routes, damage[series.series_instance_uid], identities) for series in found),
        others=Counter(_what(item, identities.get(item.path)) for item in others),
    )


def _is_zip(path: Path) -> bool:
    """Return whether a file is a zip: by its first bytes, unless it is DICOM that pretends to be one."""
    with path.open("rb") as file:
        start = file.read(132)
    return start.startswith(_ZIP) and start[128:] != b"DICM"


def _unpacked(archive: Path, folder: Path, limits: Limits) -> Sequence[Path]:
    """Unpack a zip. Raises UnsafeArchive, which does not say where the zip lay: that is nobody's business."""
    try:
        return unpack(archive, folder, limits=limits)
    except UnsafeArchive as error:
        raise UnsafeArchive(str(error).replace(str(archive), "the zip")) from error


def _identity(path: Path) -> Identity | None:
    with path.open("rb") as file, suppress(InputError):
        return read_identity(lambda offset, size: os.pread(file.fileno(), size, offset))
    return None


def _tried(
    series: Series, routes: Sequence[RouteSettings], damage: Sequence[Unreadable], identities: Mapping[Path, Identity]
) -> SeriesTried:
    tried = tuple(RouteTried(name=one.name, objections=objections(series.header, one.accept)) for one in routes)
    own = any(identities[frame.path].own_result for frame in series.frames if frame.path in identities)
    grid, hindrances = None, [*OWN_RESULT.reasons] if own else []
    counts = Counter((item.error.code, str(item.error)) for item in damage)
    hindrances += [Reason(code=code, text=f"{count} x {text}") for (code, text), count in counts.items()]
    try:
        _, grid = lay_out(series)
    except InputError as error:
        hindrances.append(Reason.of(error))
    fits = next((one.name for one in tried if not one.objections), None)
    return SeriesTried(
        series_uid=series.series_instance_uid,
        header=series.header,
        frames=len(series.frames),
        routes=tried,
        taken_by=None if own or damage else fits,
        hindrances=tuple(hindrances),
        grid=grid,
    )


def _what(item: Unreadable, identity: Identity | None) -> tuple[str, str]:
    if identity is not None and identity.own_result:
        return OWN_RESULT.reasons[0].code, OWN_RESULT.reasons[0].text
    return item.error.code, str(item.error)


def header_facts(header: SeriesHeader) -> Iterator[tuple[str, str | None, bool]]:
    """Yield what the rules look at: keyword, value (None: not there), and whether it is free text of a person."""
    yield "Modality", header.modality, False
    yield "StudyDescription", header.study_description, True
    yield "SeriesDescription", header.series_description, True
    yield "ProtocolName", header.protocol_name, True
    yield "BodyPartExamined", header.body_part_examined, True
    yield "ImageType", "\\".join(header.image_type) or None, False
    yield "ScanningSequence", "\\".join(header.scanning_sequence) or None, False
    yield "ScanOptions", "\\".join(header.scan_options) or None, False
    for keyword, value in (
        ("EchoTime", header.echo_time_ms),
        ("RepetitionTime", header.repetition_time_ms),
        ("InversionTime", header.inversion_time_ms),
    ):
        yield keyword, None if value is None else f"{value:g} ms", False
