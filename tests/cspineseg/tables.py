"""The six tables of DukeCSpineSeg_structured: columns as they are, values as they look."""

import csv
import io
from collections.abc import Iterable, Mapping

from cspineseg.exams import Scan
from cspineseg.necks import Picture

Cell = str | int | float | bool | None
Row = dict[str, Cell]

RELEASE = "RSNA_20250321"
EXPERT, AUTO = "Retrospective_expert", "Retrospective_auto"

_COLUMNS_TEXT = {
    "case": """type submitter_id datasets age_at_index age_at_index_gt89 case_ids country_of_residence covid19_positive
        ethnicity gen3_linked_subjects_available icu_indicator index_event linked_external_data long_covid_diagnosis
        race sex site_id token_record_id ventilator_indicator treatment_info zip""",
    "mr_series": """imaging_studies.submitter_id angio_flag case_ids contrast_bolus_agent diffusion_b_value
        diffusion_gradient_orientation echo_number echo_train_length echo_time image_type imaged_nucleus
        imager_pixel_spacing lossy_image_compression magnetic_field_strength mr_acquisition_type
        number_of_temporal_positions manufacturer manufacturer_model_name modality pixel_spacing series_description
        series_uid spatial_resolution repetition_time scan_options scanning_sequence sequence_name sequence_variant
        slice_thickness software_version spacing_between_slices type data_type data_format data_category submitter_id
        image_data_modification_method image_data_modification_name image_data_modified number_of_instances""",
    "imaging_study": """type submitter_id case_ids cases.submitter_id image_data_modified age_at_imaging
        age_at_imaging_gt89""",
    "annotation_file": """file_name mr_series_files.submitter_id imaging_studies.submitter_id cases.submitter_id
        case_ids annotation_name annotation_method""",
    "image_manifest": "md5sum acl storage_urls file_size case_ids study_uid series_uid modality file_name",
    "clinical_manifest": "file_name md5sum acl storage_urls file_size",
}
#: The columns of each table.
COLUMNS: Mapping[str, tuple[str, ...]] = {table: tuple(text.split()) for table, text in _COLUMNS_TEXT.items()}


def table_name(table: str) -> str:
    """Return the file name of a table."""
    return f"{table}_{RELEASE}.tsv"


def case_row(scan: Scan) -> Row:
    patient = scan.patient
    return {
        "type": "case",
        "submitter_id": patient.patient_id,
        "age_at_index": patient.age,
        "age_at_index_gt89": "No",
        "case_ids": patient.patient_id,
        "country_of_residence": "US",
        "covid19_positive": "Not Reported",
        "ethnicity": "Not Reported" if patient.race == "Not Reported" else "Not Hispanic or Latino",
        "icu_indicator": False,
        "index_event": "Study Enrollment",
        "long_covid_diagnosis": "Not Reported",
        "race": patient.race,
        "sex": patient.sex,
        "site_id": 593973,
        "ventilator_indicator": False,
    }


def study_row(scan: Scan) -> Row:
    return {
        "type": "imaging_study",
        "submitter_id": scan.study_uid,
        "case_ids": scan.patient.patient_id,
        "cases.submitter_id": scan.patient.patient_id,
        "image_data_modified": False,
        "age_at_imaging": scan.patient.age,
        "age_at_imaging_gt89": "No",
    }


def series_row(scan: Scan, shown: Picture) -> Row:
    slice_mm, row_mm, _ = (float((shown.affine[:3, axis] ** 2).sum() ** 0.5) for axis in range(3))
    return {
        "imaging_studies.submitter_id": scan.study_uid,
        "angio_flag": "N",
        "case_ids": scan.patient.patient_id,
        "echo_number": 1.0,
        "echo_train_length": 15,
        "echo_time": scan.echo_ms,
        "image_type": "ORIGINAL_PRIMARY_M_ND" if scan.siemens else "ORIGINAL_PRIMARY_OTHER",
        "imaged_nucleus": "1H",
        "magnetic_field_strength": scan.field_t,
        "mr_acquisition_type": "3D" if scan.in_3d else "2D",
        "manufacturer": scan.manufacturer_in_table,
        "manufacturer_model_name": scan.model,
        "modality": "MR",
        "pixel_spacing": round(row_mm, 6),
        "series_description": scan.description,
        "series_uid": scan.series_uid,
        "repetition_time": scan.repetition_ms,
        "scan_options": None if scan.siemens else "FAST_GEMS",
        "scanning_sequence": "SE",
        "sequence_name": "*tse2d1_15" if scan.siemens else None,
        "sequence_variant": "SK_SP",
        "slice_thickness": int(scan.thickness_mm),
        "software_version": "syngo MR E11" if scan.siemens else "25",
        "spacing_between_slices": None if scan.in_3d and scan.siemens else round(slice_mm, 4),
        "type": "mr_series_file",
        "data_type": "DICOM",
        "data_format": "DCM",
        "data_category": "MR",
        "submitter_id": scan.series_uid,
        "image_data_modified": False,
        "number_of_instances": shown.image.shape[0],
    }


def annotation_row(scan: Scan, file_name: str, method: str | None) -> Row:
    """Return the row of an image, or with a method that of a mask."""
    return {
        "file_name": file_name,
        "mr_series_files.submitter_id": scan.series_uid,
        "imaging_studies.submitter_id": scan.study_uid,
        "cases.submitter_id": scan.patient.patient_id,
        "case_ids": scan.patient.patient_id,
        "annotation_name": "cervical spine MRI" if method is None else "cervical spine segmentation",
        "annotation_method": method,
    }


def manifest_row(scan: Scan, file_name: str, md5sum: str, size: int) -> Row:
    """Return the row of the zip of a series, or of one instance."""
    return {
        "md5sum": md5sum,
        "acl": "['Open']",
        "storage_urls": f"['s3://open-data/{file_name}']",
        "file_size": size,
        "case_ids": scan.patient.patient_id,
        "study_uid": scan.study_uid,
        "series_uid": scan.series_uid,
        "modality": "MR",
        "file_name": file_name,
    }


def clinical_row(file_name: str, md5sum: str, size: int) -> Row:
    return {
        "file_name": file_name,
        "md5sum": md5sum,
        "acl": "['Open']",
        "storage_urls": f"['s3://open-data/{file_name}']",
        "file_size": size,
    }


def written(columns: Iterable[str], rows: Iterable[Row]) -> bytes:
    """Return a table as tab-separated text; what a row has no value for is empty."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(columns), delimiter="\t", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()
