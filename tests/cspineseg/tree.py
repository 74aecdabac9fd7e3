"""Builds the dataset."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from cspineseg.draft import Draft, draft
from cspineseg.exams import Scan, draw_scans
from cspineseg.harm_dataset import Parts, Tables, as_left, collected, harm_parts, harm_tables, with_junk
from cspineseg.harm_images import IMAGES
from cspineseg.harm_rows import ROWS
from cspineseg.harm_series import SERIES
from cspineseg.nifti import Nifti
from cspineseg.planting import IN_ONE_EXAM, PLANTED, PLANTED_IN_EXAMS
from cspineseg.tables import clinical_row, table_name, written
from cspineseg.truth import Truth
from cspineseg.zips import write_zip

_HARM = {**SERIES, **IMAGES, **ROWS}
#: Larger datasets are not kept in memory.
_MOST_KEPT = 100


def build(
    root: Path,
    exams: int = 60,
    *,
    seed: int = 1,
    zipped: bool = False,
    shape: tuple[int, int, int] = (12, 112, 112),
    planted: Sequence[str] | None = None,
) -> Truth:
    """Write a dataset of `exams` phantoms below `root`, which need not exist, and return what is in it.

    `planted`: names of `PLANTED`, in an exam each (two where `IN_ONE_EXAM` has them) or in the whole; None for all of
    `PLANTED_IN_EXAMS`.
    `shape`: (slices, rows, columns), around which those of the exams vary. The same arguments give the same bytes.
    Raises ValueError for a name that is unknown, and for more defects than there are exams to plant them in.
    """
    names = tuple(PLANTED_IN_EXAMS if planted is None else planted)
    if unknown := [name for name in names if name not in PLANTED]:
        raise ValueError(f"nobody knows {', '.join(unknown)}")
    make = _content if exams <= _MOST_KEPT else _content.__wrapped__
    truth, parts = make(exams, seed, (shape[0], shape[1], shape[2]), names)
    _write(root, parts, zipped=zipped)
    return replace(truth, root=root, zipped=zipped)


def clean(root: Path, exams: int = 4, *, seed: int = 1, zipped: bool = False) -> Truth:
    """Write a dataset with nothing wrong in it. Among its first four are all kinds of exams."""
    return build(root, exams, seed=seed, zipped=zipped, planted=())


@lru_cache(maxsize=2)
def _content(exams: int, seed: int, shape: tuple[int, int, int], names: tuple[str, ...]) -> tuple[Truth, Parts]:
    """Return what is in the dataset, and its files; kept, as many want the same in folders and in zips."""
    scans = draw_scans(exams, seed)
    places = _places(scans, [name for name in names if name in PLANTED_IN_EXAMS], seed)
    drafts = [draft(scan, shape, seed) for scan in scans]
    for name, number in places.items():
        _HARM[name](drafts[number])
        drafts[number].planted.append(name)
    whole = tuple(name for name in names if name not in PLANTED_IN_EXAMS)
    if "nnunet_names" in whole:
        for number, index in enumerate(np.random.default_rng([seed, 4]).permutation(len(drafts))):
            drafts[index].rename(f"cspine_{number:04d}_0000.nii.gz", f"cspine_{number:04d}.nii.gz")
    parts = _parts(drafts, whole, seed)
    truth = Truth(
        root=Path(),
        zipped=False,
        exams=tuple(as_left(exam.truth(), whole) for exam in drafts),
        planted=whole,
        orphans=tuple(name for exam in drafts for name in exam.orphans),
        ghosts=tuple(uid for exam in drafts for uid in exam.ghosts),
    )
    return truth, parts


def _places(scans: list[Scan], names: list[str], seed: int) -> dict[str, int]:
    """Return the exam for each name, only exams whose patients have no other."""
    second = {name: IN_ONE_EXAM[name] for name in names if IN_ONE_EXAM.get(name) in names}
    names = [name for name in names if name not in second]
    patients = [scan.patient.patient_id for scan in scans]
    alone = [index for index, patient in enumerate(patients) if patients.count(patient) == 1]
    if len(names) > len(alone):
        raise ValueError(f"{len(names)} defects to plant, and {len(alone)} exams that can have one")
    chosen = np.random.default_rng([seed, 2]).permutation(alone)[: len(names)]
    places = {name: int(index) for name, index in zip(names, chosen, strict=True)}
    return places | {name: places[partner] for name, partner in second.items()}


def _parts(drafts: list[Draft], planted: tuple[str, ...], seed: int) -> Parts:
    files: dict[str, dict[str, bytes]] = {
        "imaging_files": {name: data for exam in drafts for name, data in exam.imaging_files().items()},
        "annotation": _encoded([exam.images for exam in drafts]),
        "segmentation": _encoded([exam.masks for exam in drafts]),
    }
    # The rows of the tables are in no order.
    mixed = [drafts[index] for index in np.random.default_rng([seed, 3]).permutation(len(drafts))]
    tables = collected(mixed, of_instances="manifest_of_instances" in planted)
    harm_tables(tables, planted)
    files["structured"] = _structured(tables)
    parts = Parts(files=files)
    harm_parts(parts, planted)
    return parts


def _structured(tables: Tables) -> dict[str, bytes]:
    found = {
        table_name(table): written(tables.columns[table], rows)
        for table, rows in sorted(tables.rows.items())
        if table != "clinical_manifest"
    }
    if "clinical_manifest" in tables.rows:
        rows = [
            clinical_row(name, hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data))
            for name, data in found.items()
        ]
        found[table_name("clinical_manifest")] = written(tables.columns["clinical_manifest"], rows)
    return found


def _encoded(exams: Sequence[Mapping[str, Nifti | bytes]]) -> dict[str, bytes]:
    return {
        name: content if isinstance(content, bytes) else content.encoded()
        for files in exams
        for name, content in files.items()
    }


def _write(root: Path, parts: Parts, *, zipped: bool) -> None:
    root.mkdir(parents=True, exist_ok=True)
    of_choice = frozenset(parts.files) if zipped else frozenset()
    to_zip = of_choice if parts.zipped is None else parts.zipped
    for part, content in parts.files.items():
        top = f"DukeCSpineSeg_{part}"
        files = {f"{top}/{name}": data for name, data in content.items()}
        if parts.extra_folder:
            files = {f"{top}/{name}": data for name, data in files.items()}
        if parts.junk:
            files = with_junk(files, top)
        if part in to_zip or parts.also_zipped:
            write_zip(root / f"{top}.zip", files)
        if part not in to_zip:
            for name, data in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    whole = root / "DukeCSpineSeg_imaging_files.zip"
    if parts.imaging_zip_share < 1.0:
        data = whole.read_bytes()
        whole.write_bytes(data[: int(len(data) * parts.imaging_zip_share)])
