"""What can be missing or contradictory in the download: a stable code each, and a sentence that says what it means."""

from enum import Enum

from node.batch.midrc.exam import Defect

#: What stands between the sentences of several defects, and in none of them.
BETWEEN = " | "


class DefectCode(Enum):
    """Everything that `inspect` can find. The value is the code, `meaning` the sentence."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> "DefectCode":
        """Make a member whose value is the code alone."""
        member = object.__new__(cls)
        member._value_ = code
        member.meaning = meaning
        return member

    # The download as a whole.
    PART_MISSING = "part-missing", "One of the four parts of the download is not there."
    TABLE_MISSING = "table-missing", "A table that joins or describes the series is not there."
    TABLE_UNREADABLE = "table-unreadable", "A table is not tab-separated text."
    TABLE_RAGGED = "table-ragged", "Rows of a table have fewer or more cells than it has columns."
    COLUMN_MISSING = "column-missing", "A table lacks a column by which rows are joined."
    NO_EXPERTS = "no-experts", "The annotation table marks no mask as an expert's, as in the early releases."
    ARCHIVE_REFUSED = "archive-refused", "A zip is damaged, encrypted or unsafe, and is not read."
    ARCHIVE_NESTED = "archive-nested", "A part of the download lies in another zip; unpack the outer one."
    FILE_UNKNOWN = "file-unknown", "A file belongs to no exam, by its ending or by its place."

    # What an exam lacks.
    DICOM_MISSING = "dicom-missing", "No DICOM series is there."
    IMAGE_MISSING = "image-missing", "No NIfTI image is there."
    MASK_MISSING = "mask-missing", "No mask is there."
    SERIES_UNKNOWN = "series-unknown", "An image or a mask belongs to no series that is known."
    FILE_WITHOUT_ROW = "file-without-row", "No row of the table that lists such files speaks of this one."
    ROW_WITHOUT_FILE = "row-without-file", "A row speaks of a file that is not there."
    ROW_TWICE = "row-twice", "A table has several rows for one thing; the first is taken."
    JOIN_BROKEN = "join-broken", "A row refers to a row of another table that is not there."
    ANNOTATION_UNKNOWN = "annotation-unknown", "Nobody says whether the mask is an expert's or the ensemble's."

    ANNOTATION_CONTRADICTS = "annotation-contradicts", "One row says that the mask is an expert's, another denies it."

    # What belongs together.
    MATCH_CONTRADICTS = "match-contradicts", "The table, the name and the geometry name different series for a file."
    MATCH_AMBIGUOUS = "match-ambiguous", "A file fits several series, and nothing says which one is meant."
    FILE_TWICE = "file-twice", "Several files claim to be the same part of one exam; one is taken."

    # The DICOM series.
    DICOM_UNREADABLE = "dicom-unreadable", "The zip of the series is damaged or unsafe, or holds no DICOM image."
    INSTANCE_UNREADABLE = "instance-unreadable", "Some files of the series are no DICOM images, or are damaged."
    NOT_MR = "not-mr", "The headers say another modality than MR."
    NOT_SAGITTAL = "not-sagittal", "The slices are not sagittal."
    NO_VOLUME = "no-volume", "The frames of the series do not make one regular grid."
    SEVERAL_SERIES = "several-series", "The zip of one series holds several."
    SERIES_UID_DIFFERS = "series-uid-differs", "The name of the zip is not the Series Instance UID within."
    STUDY_UID_DIFFERS = "study-uid-differs", "Folder, DICOM and tables name different studies."
    PATIENT_DIFFERS = "patient-differs", "Folder, DICOM, name of the image and tables name different patients."
    INSTANCES_DIFFER = "instances-differ", "The table counts other instances than there are."
    SLICE_THICKNESS_DIFFERS = "slice-thickness-differs", "Table and DICOM differ by a millimetre or more."
    MANUFACTURER_DIFFERS = "manufacturer-differs", "Table and DICOM name different manufacturers."
    FIELD_STRENGTH_DIFFERS = "field-strength-differs", "Table and DICOM name different field strengths."

    # The image and the mask.
    IMAGE_UNREADABLE = "image-unreadable", "The image is damaged, or no NIfTI image with a place in the patient."
    MASK_UNREADABLE = "mask-unreadable", "The mask is damaged, or no NIfTI image with a place in the patient."
    IMAGE_GRID_DIFFERS = "image-grid-differs", "The image does not lie on the voxels of its DICOM series."
    IMAGE_VOXELS_DIFFER = "image-voxels-differ", "The image lies on its series and holds other values."
    MASK_GRID_DIFFERS = "mask-grid-differs", "The mask does not lie on the voxels of its image or its series."
    MASK_LABELS = "mask-labels", "The mask holds values other than 0, 1 and 2."
    MASK_EMPTY = "mask-empty", "The mask holds nothing but background."
    MASK_LACKS_LABEL = "mask-lacks-label", "The mask holds vertebral bodies alone or discs alone."

    # The bytes.
    SIZE_DIFFERS = "size-differs", "A file is not of the size that the manifest of the download gives."
    MD5_DIFFERS = "md5-differs", "A file does not have the MD5 that the manifest of the download gives."


def defect(code: DefectCode, text: str | None = None) -> Defect:
    """Return a defect of this code; its text is the meaning where none is given, and always one line."""
    line = " ".join((code.meaning if text is None else text).split())
    return Defect(code=code.value, text=line.replace(BETWEEN, " / "))
