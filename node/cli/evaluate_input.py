"""What `evaluate` compares: predictions as a batch or as label maps, references as a dataset or as label maps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from node.assemble.nifti import is_nifti
from node.batch.evaluate.pairs import (
    CleanedUp,
    NiftiFile,
    Pairs,
    Reference,
    Which,
    paired,
    predictions_in,
    predictions_of_batch,
    references_in,
    references_of,
)
from node.batch.evaluate.scheme import Scheme
from node.batch.midrc.manifest import open_manifest
from node.batch.midrc.where import chosen
from node.errors import InputError, SettingsError


def references_at(path: Path, where: str | None, images: Path | None) -> list[Reference]:
    """Return the references at `path`: a folder of NIfTI files, or else a dataset or its manifest, of which `where`.

    Raises InputError where it is none of them, SettingsError for an expression that is wrong or has no tables.
    """
    if images is not None and not images.is_dir():
        raise InputError(f"{images}: no such folder")
    if path.is_dir() and any(is_nifti(inner) for inner in path.iterdir()):
        if where:
            raise SettingsError("--where: a folder of label maps has no columns; give the dataset or its manifest")
        return references_in(path, images)
    exams = open_manifest(path).exams
    return references_of(chosen(exams, where) if where else exams)


def pairs_of(prediction: Path, references: Sequence[Reference], scheme: Scheme, which: Which) -> Pairs:
    """Return what of `prediction` can be compared. Raises InputError where nothing can, and for a damaged ledger."""
    if (prediction / "cases").is_dir():
        found = paired(predictions_of_batch(prediction, scheme, which), references)
    else:
        of_files = all(isinstance(reference.source, NiftiFile) for reference in references)
        found = paired(predictions_in(prediction), references, all_of_them=of_files)
    if not found.pairs:
        raise InputError(f"nothing of {prediction} has a reference")
    return found


def model_of(found: Pairs) -> Mapping[str, str]:
    """Return name, version and digest of the model that made a batch, by its first case; nothing where nobody says."""
    match found.pairs[0].prediction:
        case CleanedUp(folder=folder) | NiftiFile(path=Path(parent=folder)):
            pass
        case _:
            return {}
    try:
        made = json.loads((folder / "findings.json").read_bytes())["algorithm"]
        return {
            "Model": f"{made['bundle_name']} {made['bundle_version']}, {', '.join(made['members'])}",
            "Bundle digest": str(made["bundle_digest"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
