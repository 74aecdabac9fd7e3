"""Results as files: what `segment` and `demo` leave in a folder, and what the live node keeps of each case.

The names are a contract, scripts of users stand on them:

    seg.dcm  sr.dcm                      the default forms, always (no seg.dcm where there is nothing to segment)
    seg-*.dcm  sr-*.dcm                  other forms, where a destination takes them: seg-labelmap.dcm, sr-enhanced.dcm,
                                         sr-enhanced-labelmap.dcm (the report about seg-labelmap.dcm) ...
    key-1.dcm  key-2.dcm ...             key images, where a destination takes them
    findings.json                        everything that was found (`node.output.document`)
    measurements.tsv                     one row a measurement (`node.output.table`)
    overlay.png                          a look at it
    image.nii.gz  labels.nii.gz          on request, laid out as dcm2niix would

`findings.json`; UCUM units, levels as "C5", "C5-C6" (fused bodies), "C5/C6" (disc):

    structures[]        label (as in labels.nii.gz), segment (its Segment Number in seg.dcm, which those without a level
                        share), kind, ordinal (among its kind, from the head), level (null where nobody knows),
                        level_confidence (0 to 1), truncated, volume_mm3, centroid_lps_mm, measures {quantity: value}:
                        what cannot be measured is left out
    missing[]           level, kind, presence ("absent", "not in the field of view"): of C2 to T1
    pairs[]             upper, lower (labels of neighbouring bodies), measures
    curvature           {quantity: value} of the whole neck
    total_volume_mm3    {kind: value}
    quality             verdict ("good", "review", "reject"), objections[] (doubt, verdict, text, labels, levels),
                        evidence[] (label, member_agreement_dice, fold_agreement_dice, entropy),
                        member_agreement_dice {kind: value}, specks_mm3
    timings_s           {stage: seconds}
    algorithm, run      what answered, and how
    origin              of a published mask alone: "manual mask" or "automatic mask"
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from node.domain.findings import Findings
from node.domain.geometry import Volume
from node.durable import write_files_durably
from node.output.nifti import nifti_bytes

#: Names that objects have had; a file of another name is somebody else's.
_OBJECT = re.compile(r"(seg|sr)(-(comprehensive|enhanced|labelmap|fractional))*\.dcm|key-[1-9][0-9]*\.dcm")


def write_case(
    folder: Path,
    *,
    objects: Mapping[str, bytes],
    document: Mapping[str, Any],
    measurements: str,
    overlay: bytes,
    maps: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write `objects` by their names, and the files about them, into `folder`; on return they are on the disk.

    `maps`: NIfTI files beside them, by name. An object of an earlier run that this one does not have is deleted: the
    files of a folder belong together. `findings.json` comes last.
    """
    remove_objects(folder, but=objects)
    write_files_durably(
        folder,
        {
            **maps,
            **objects,
            "overlay.png": overlay,
            "measurements.tsv": measurements.encode(),
            "findings.json": (json.dumps(document, indent=2) + "\n").encode(),
        },
    )


def remove_objects(folder: Path, *, but: Collection[str]) -> None:
    """Delete the DICOM objects that an earlier run left in `folder`, by their names, except those named in `but`."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if _OBJECT.fullmatch(path.name) and path.name not in but and path.is_file():
            path.unlink()


def nifti_files(volume: Volume, findings: Findings) -> dict[str, bytes]:
    """Return `image.nii.gz` and `labels.nii.gz`, voxel on voxel."""
    images = {"image.nii.gz": volume.voxels, "labels.nii.gz": findings.labels}
    return {name: nifti_bytes(volume, voxels) for name, voxels in images.items()}
