"""One exam before it is written: everything that can be harmed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cspineseg.dicom import Instances, encoded, instances
from cspineseg.exams import Scan
from cspineseg.necks import Picture, picture
from cspineseg.nifti import Nifti, as_dcm2niix
from cspineseg.tables import AUTO, EXPERT, Row, annotation_row, case_row, manifest_row, series_row, study_row
from cspineseg.truth import ExamTruth
from cspineseg.zips import zipped


def _left_alone(archive: bytes) -> bytes:
    return archive


@dataclass(kw_only=True)
class Draft:
    """An exam. `image_name`, `mask_name`: what belongs to it, in `images` and `masks`; None where that is not there."""

    scan: Scan
    shown: Picture
    slices: Instances
    #: Files in the zip that are no instances.
    strays: dict[str, bytes] = field(default_factory=dict)
    #: In front of the names in the zip.
    prefix: str = ""
    #: Makes of the sound zip what is on the disk; None: the zip is absent.
    spoil: Callable[[bytes], bytes] | None = _left_alone
    extracted: bool = False
    images: dict[str, Nifti | bytes]
    masks: dict[str, Nifti | bytes]
    image_name: str | None
    mask_name: str | None
    expert: bool | None
    rows: dict[str, list[Row]]
    planted: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    #: Series that only a table speaks of.
    ghosts: list[str] = field(default_factory=list)

    @property
    def zip_name(self) -> str:
        """Path of the zip below DukeCSpineSeg_imaging_files."""
        scan = self.scan
        return f"case_image/{scan.patient.patient_id}/{scan.study_uid}/{scan.series_uid}.zip"

    @property
    def image(self) -> Nifti:
        """The image, before it is encoded."""
        return _before_encoding(self.images[self.scan.stem + ".nii.gz"])

    @property
    def mask(self) -> Nifti:
        """The mask, before it is encoded."""
        return _before_encoding(self.masks[self.scan.stem + "_SEG.nii.gz"])

    def rename(self, image_name: str, mask_name: str) -> None:
        """Give image and mask other names on the disk, of which no table knows."""
        self.images = {image_name: self.image}
        self.masks = {mask_name: self.mask}
        self.image_name, self.mask_name = image_name, mask_name

    def annotation_rows(self, *, mask: bool) -> list[Row]:
        """Return the rows of annotation_file that name the mask, or the image."""
        return [row for row in self.rows["annotation_file"] if ("_SEG" in str(row["file_name"])) == mask]

    def imaging_files(self) -> dict[str, bytes]:
        """Return the files of the series by their path, and complete the image_manifest with them."""
        within = {self.prefix + name: encoded(data_set) for name, data_set in self.slices.items()} | self.strays
        archive = zipped(within)
        name = self.zip_name.removeprefix("case_image/")
        md5sum = hashlib.md5(archive, usedforsecurity=False).hexdigest()
        self.rows["image_manifest"] = [manifest_row(self.scan, name, md5sum, len(archive))]
        self.rows["image_manifest_of_instances"] = [
            manifest_row(
                self.scan,
                f"{data_set.SOPInstanceUID}.dcm",
                hashlib.md5(within[self.prefix + short], usedforsecurity=False).hexdigest(),
                len(within[self.prefix + short]),
            )
            for short, data_set in self.slices.items()
        ]
        if self.spoil is None:
            return {}
        if self.extracted:
            return {f"{self.zip_name.removesuffix('.zip')}/{short}": data for short, data in within.items()}
        return {self.zip_name: self.spoil(archive)}

    def truth(self) -> ExamTruth:
        """Return what a reader should find."""
        dicom = self.zip_name.removesuffix(".zip") if self.extracted else self.zip_name
        return ExamTruth(
            patient_id=self.scan.patient.patient_id,
            study_uid=self.scan.study_uid,
            series_uid=self.scan.series_uid,
            dicom=None if self.spoil is None else dicom,
            image=self.image_name,
            mask=self.mask_name,
            expert=self.expert,
            in_3d=self.scan.in_3d,
            fused=self.scan.fused,
            shape=(self.shown.image.shape[0], self.shown.image.shape[1], self.shown.image.shape[2]),
            planted=tuple(self.planted),
        )


def draft(scan: Scan, shape: tuple[int, int, int], seed: int) -> Draft:
    """Return the exam with nothing wrong in it."""
    return drafted(scan, picture(scan.neck, shape, fused=scan.fused, seed=seed * 10_000 + scan.number))


def drafted(scan: Scan, shown: Picture) -> Draft:
    """Return the exam of this scan that shows this."""
    image_name, mask_name = scan.stem + ".nii.gz", scan.stem + "_SEG.nii.gz"
    # Editors of masks write other types than a network does.
    labels = shown.labels.astype(np.int16) if scan.expert else shown.labels
    return Draft(
        scan=scan,
        shown=shown,
        slices=instances(scan, shown),
        images={image_name: as_dcm2niix(shown.image, shown.affine, in_3d=scan.in_3d)},
        masks={mask_name: as_dcm2niix(labels, shown.affine, in_3d=scan.in_3d)},
        image_name=image_name,
        mask_name=mask_name,
        expert=scan.expert,
        rows={
            "case": [case_row(scan)],
            "imaging_study": [study_row(scan)],
            "mr_series": [series_row(scan, shown)],
            "annotation_file": [
                annotation_row(scan, image_name, None),
                annotation_row(scan, mask_name, EXPERT if scan.expert else AUTO),
            ],
        },
    )


def _before_encoding(content: Nifti | bytes) -> Nifti:
    if isinstance(content, bytes):
        raise TypeError("already encoded")
    return content
