"""What can be planted in a dataset: a stable name and a sentence each."""

from collections.abc import Mapping

#: Planted in one exam each.
PLANTED_IN_EXAMS: Mapping[str, str] = {
    # the DICOM series
    "series_missing": "the zip of the series is not there",
    "series_no_zip": "the zip of the series is a web page, as a failed download leaves one",
    "series_zip_truncated": "the zip of the series ends early",
    "series_zip_encrypted": "the zip of the series asks for a password",
    "series_zip_traversal": "the names in the zip of the series lead out of the folder",
    "series_zip_bomb": "the zip of the series claims to hold 64 GiB",
    "series_zip_empty": "the zip of the series holds nothing",
    "series_extracted": "the series was unpacked to a folder of its name (harmless)",
    "series_nested": "the instances lie two folders deep in the zip (harmless)",
    "stray_files": "a text, a DICOMDIR and what macOS leaves behind lie among the instances (harmless)",
    "slice_missing": "a slice from the middle of the series is missing",
    "slice_twice": "a slice is there twice, under two SOP Instance UIDs",
    "instance_truncated": "the pixel data of one instance end early",
    "patient_id_differs": "the headers name another patient than the folder and the tables",
    "study_uid_differs": "the headers name another study than the folder and the tables",
    "series_uid_differs": "the headers name another series than the zip and the tables",
    "two_series_in_zip": "the zip also holds three slices of another series",
    "not_mr": "the headers say CT",
    "not_sagittal": "the slices are axial",
    # the image
    "image_missing": "the NIfTI image is not there",
    "image_unreadable": "the NIfTI image is cut short",
    "image_no_nifti": "the NIfTI image is none",
    "image_unplaced": "the NIfTI image has neither qform nor sform",
    "image_shape_differs": "the NIfTI image has other numbers of voxels than the series",
    "image_elsewhere": "the NIfTI image has the series' shape and another place",
    "image_voxels_differ": "the NIfTI image lies where the series lies and shows something else",
    "image_renamed": "no table and no name tells which series the image belongs to; its place does (harmless)",
    "image_twice": "a second image fits the series as well as its own",
    "image_orphan": "beside the exam's own image lies one that fits no series",
    # the mask
    "mask_missing": "the mask is not there",
    "mask_unreadable": "the mask is cut short",
    "mask_shape_differs": "the mask has other numbers of voxels than its image",
    "mask_shifted": "the mask lies three voxels beside its image",
    "mask_flipped": "the mask is stored in another order of axes, and its affine says so (harmless)",
    "mask_of_whole_floats": "the mask is stored as floating point, all values whole (harmless)",
    "mask_label_3": "the mask has a third label",
    "mask_fractional": "the mask has values between the labels",
    "mask_empty": "the mask is empty",
    "mask_lacks_discs": "the mask has vertebral bodies alone",
    "mask_renamed": "no table and no name tells which image the mask belongs to; its place does",
    "mask_twice": "the tables name two masks, and both are there",
    # the tables
    "not_in_mr_series": "mr_series has no row for the series",
    "not_in_imaging_study": "imaging_study has no row for the study",
    "patient_not_in_case": "case has no row for the patient",
    "not_in_annotation_file": "annotation_file has no rows for the exam (the names tell what belongs together)",
    "listed_twice": "mr_series has the same row twice",
    "submitter_id_twice": "mr_series has a second row under the submitter_id of this series, of another series",
    "instances_miscounted": "number_of_instances is not what the zip holds",
    "thickness_contradicts": "slice_thickness is far from that of the headers",
    "manufacturer_contradicts": "manufacturer is not that of the headers",
    "field_contradicts": "magnetic_field_strength is not that of the headers",
    "case_contradicts": "mr_series gives the series to another patient than imaging_study and the folder",
    "annotated_file_absent": "annotation_file names one more mask, which is not there",
    "annotation_method_absent": "annotation_method of the mask is empty",
    "annotation_method_unknown": "annotation_method of the mask is a word nobody knows",
    "annotation_contradictory": "annotation_file has two rows for the mask: drawn by people, and automatic",
    "md5_differs": "the zip is sound, and not the file whose MD5 the image_manifest has",
}

_PARTS = ("structured", "imaging_files", "annotation", "segmentation")
_TABLES = ("annotation_file", "case", "clinical_manifest", "image_manifest", "imaging_study", "mr_series")

#: Planted in the dataset as a whole.
PLANTED_IN_DATASET: Mapping[str, str] = {
    **{f"without_{part}": f"DukeCSpineSeg_{part} was not fetched" for part in _PARTS},
    **{f"without_{table}_table": f"the table {table} is not there" for table in _TABLES},
    "without_annotation_method": "annotation_file lacks the column annotation_method",
    "without_series_uid": "mr_series lacks the column series_uid",
    "without_series_link": "annotation_file lacks the column mr_series_files.submitter_id",
    "all_marked_auto": "annotation_method says Retrospective_auto of every mask, as early releases did (harmless)",
    "manifest_of_instances": "image_manifest has a row for each instance instead of each zip (harmless)",
    "tables_by_excel": "the tables were saved with a byte order mark and CR LF (harmless, but for their sizes)",
    "nnunet_names": "images and masks bear the names that nnU-Net gave them; only their places tell their series",
    "mr_series_ragged": "a row of mr_series has fewer cells than columns",
    "mr_series_no_text": "mr_series is no text",
    "clinical_md5_differs": "the table case is not the file whose MD5 the clinical_manifest has",
    "extra_folder": "the unzip tool put each part into one more folder of the same name (harmless)",
    "macos_junk": "__MACOSX, ._ files and .DS_Store lie everywhere (harmless)",
    "zips_beside_folders": "the zips were unpacked and left beside the folders (harmless; unpacked only)",
    "half_unpacked": "imaging_files and annotation are zips, the other two are folders (harmless)",
    "imaging_zip_truncated": "DukeCSpineSeg_imaging_files.zip ends early (zipped only)",
}

PLANTED: Mapping[str, str] = {**PLANTED_IN_EXAMS, **PLANTED_IN_DATASET}

#: Where both are planted, the first lies in the exam of the second: one is about a row or the zip, one about the mask.
IN_ONE_EXAM: Mapping[str, str] = {
    "instances_miscounted": "mask_shifted",
    "thickness_contradicts": "mask_label_3",
    "manufacturer_contradicts": "mask_fractional",
    "field_contradicts": "mask_empty",
    "case_contradicts": "mask_lacks_discs",
    "patient_not_in_case": "mask_shape_differs",
    "not_in_imaging_study": "mask_unreadable",
    "listed_twice": "mask_missing",
    "md5_differs": "mask_flipped",
    "stray_files": "mask_of_whole_floats",
    "series_nested": "annotated_file_absent",
    "slice_twice": "annotation_method_absent",
    "patient_id_differs": "annotation_contradictory",
}
