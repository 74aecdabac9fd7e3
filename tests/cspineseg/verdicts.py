"""What a reader has to say of what was planted: the codes of its defects. The reader's code itself is not used."""

from collections.abc import Mapping

#: Of each thing planted in an exam: at least one of these codes must be among the exam's defects; none for harmless.
REQUIRED: Mapping[str, frozenset[str]] = {
    name: frozenset(codes.split())
    for name, codes in {
        "series_missing": "dicom-missing",
        "series_no_zip": "dicom-unreadable",
        "series_zip_truncated": "dicom-unreadable",
        "series_zip_encrypted": "dicom-unreadable",
        "series_zip_traversal": "dicom-unreadable archive-refused",
        "series_zip_bomb": "dicom-unreadable archive-refused",
        "series_zip_empty": "dicom-unreadable dicom-missing",
        "series_extracted": "",
        "series_nested": "",
        "stray_files": "",
        "slice_missing": "no-volume",
        "slice_twice": "no-volume",
        "instance_truncated": "instance-unreadable",
        "patient_id_differs": "patient-differs",
        "study_uid_differs": "study-uid-differs",
        "series_uid_differs": "series-uid-differs",
        "two_series_in_zip": "several-series",
        "not_mr": "not-mr",
        "not_sagittal": "not-sagittal",
        "image_missing": "image-missing",
        "image_unreadable": "image-unreadable",
        "image_no_nifti": "image-unreadable",
        "image_unplaced": "image-unreadable",
        "image_shape_differs": "image-grid-differs",
        "image_elsewhere": "image-grid-differs match-contradicts",
        "image_voxels_differ": "image-voxels-differ",
        "image_renamed": "",
        "image_orphan": "",
        "mask_missing": "mask-missing",
        "mask_unreadable": "mask-unreadable",
        "mask_shape_differs": "mask-grid-differs",
        "mask_shifted": "mask-grid-differs",
        "mask_flipped": "",
        "mask_of_whole_floats": "",
        "mask_label_3": "mask-labels",
        "mask_fractional": "mask-labels mask-unreadable",
        "mask_empty": "mask-empty",
        "mask_lacks_discs": "mask-lacks-label",
        "mask_renamed": "annotation-unknown",
        "mask_twice": "file-twice row-twice",
        "not_in_mr_series": "file-without-row join-broken",
        "not_in_imaging_study": "join-broken",
        "patient_not_in_case": "join-broken",
        "not_in_annotation_file": "annotation-unknown",
        "listed_twice": "row-twice",
        "submitter_id_twice": "row-twice",
        "instances_miscounted": "instances-differ",
        "thickness_contradicts": "slice-thickness-differs",
        "manufacturer_contradicts": "manufacturer-differs",
        "field_contradicts": "field-strength-differs",
        "case_contradicts": "patient-differs",
        "annotated_file_absent": "row-without-file",
        "annotation_method_absent": "annotation-unknown",
        "annotation_method_unknown": "annotation-unknown",
        "annotation_contradictory": "annotation-contradicts row-twice",
        "md5_differs": "md5-differs",
        # told of the file that is not taken, or of the exam
        "image_twice": "",
    }.items()
}

_OTHER_BYTES = "size-differs md5-differs"
#: What may be said besides, as it follows from what was planted.
_FOLLOWS = {
    "series_missing": "row-without-file",
    "series_no_zip": _OTHER_BYTES,
    "series_zip_truncated": _OTHER_BYTES,
    "series_zip_encrypted": _OTHER_BYTES,
    "series_zip_bomb": _OTHER_BYTES,
    "series_zip_empty": _OTHER_BYTES,
    "slice_missing": "instances-differ image-grid-differs mask-grid-differs",
    "slice_twice": "instances-differ image-grid-differs mask-grid-differs",
    "instance_truncated": "no-volume instances-differ image-grid-differs mask-grid-differs",
    "two_series_in_zip": "instances-differ series-uid-differs",
    "series_uid_differs": "join-broken file-without-row",
    "image_missing": "row-without-file",
    "image_shape_differs": "mask-grid-differs",
    "image_elsewhere": "mask-grid-differs",
    "image_renamed": "file-without-row",
    "image_twice": "file-twice match-ambiguous",
    "mask_missing": "row-without-file",
    "mask_empty": "mask-lacks-label",
    "mask_fractional": "mask-lacks-label",
    "mask_renamed": "file-without-row",
    "not_in_mr_series": "row-without-file",
    "not_in_imaging_study": "file-without-row",
    "patient_not_in_case": "file-without-row",
    "not_in_annotation_file": "file-without-row",
    "submitter_id_twice": "join-broken match-contradicts",
    "case_contradicts": "join-broken",
    "mask_twice": "annotation-contradicts",
    "annotation_contradictory": "annotation-unknown",
}

#: Everything that may be said of an exam that this was planted in.
ALLOWED: Mapping[str, frozenset[str]] = {
    name: codes | frozenset(_FOLLOWS.get(name, "").split()) for name, codes in REQUIRED.items()
}

#: What must be said of the whole, and nothing else.
REQUIRED_OF_DATASET: Mapping[str, tuple[str, ...]] = {
    **{f"without_{part}": ("part-missing",) for part in ("structured", "imaging_files", "annotation", "segmentation")},
    **{
        f"without_{table}_table": ("table-missing",)
        for table in ("annotation_file", "case", "image_manifest", "imaging_study", "mr_series", "clinical_manifest")
    },
    "without_annotation_method": ("column-missing",),
    "without_series_uid": ("column-missing",),
    "without_series_link": ("column-missing",),
    "all_marked_auto": ("no-experts",),
    "manifest_of_instances": (),
    "tables_by_excel": ("size-differs",),
    "nnunet_names": (),
    "mr_series_ragged": ("table-ragged", "size-differs"),
    "mr_series_no_text": ("table-unreadable", "size-differs"),
    "clinical_md5_differs": ("md5-differs",),
    "extra_folder": (),
    "macos_junk": (),
    "zips_beside_folders": (),
    "half_unpacked": (),
    "imaging_zip_truncated": ("archive-refused", "part-missing"),
}
