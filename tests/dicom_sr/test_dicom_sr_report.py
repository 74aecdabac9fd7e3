from dataclasses import replace
from pathlib import Path

import highdicom as hd
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from result_cases import Case, nothing_found, result_instance

from dicom_sr import (
    Code,
    Evaluation,
    InvalidResult,
    ReportContent,
    ReportForm,
    build_report,
    codes,
    read_report,
    to_bytes,
)


def parsed(dataset: Dataset) -> hd.sr.Comprehensive3DSR:
    return hd.sr.Comprehensive3DSR.from_dataset(dataset)


def test_an_independent_reader_finds_every_volume_in_mm3_under_the_tracking_uid_of_its_segment(
    case: Case, segmentation: Dataset, sr: Dataset
) -> None:
    groups = parsed(sr).content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(segmentation.SegmentSequence) == len(case.segments)
    for group, segment, measured in zip(groups, segmentation.SegmentSequence, case.report.segments, strict=True):
        assert group.tracking_uid == segment.TrackingUID
        assert group.tracking_identifier == segment.TrackingID
        volume, anterior, middle, ratio = group.get_measurements()
        assert volume.unit.value == "mm3"
        assert volume.value == pytest.approx(measured.measurements[0].value, abs=0.001)
        assert volume.method.value == "126030"
        assert [(height.value, height.unit.value, height.method.value) for height in (anterior, middle)] == [
            (12.5, "mm", "P001"),
            (11.25, "mm", "P001"),
        ]
        assert (ratio.unit.value, ratio.derivation.value) == ("1", "373098007")
        assert [(item.name.value, item.value.value) for item in group.get_qualitative_evaluations()] == [
            ("Q003", "A030"),
            ("Q005", "373067005"),
        ]
        assert group.finding_type.value == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        assert [site.value for site in group.finding_sites] == list(measured.finding_sites)
        (reference,) = group.referenced_segment[0].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == segment.SegmentNumber


def test_a_height_says_where_it_was_taken(sr: Dataset) -> None:
    group = sr.ContentSequence[-2].ContentSequence[0]
    heights = [
        item
        for item in group.ContentSequence
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == "121207"
    ]
    places = []
    for height in heights:
        modifier, method = height.ContentSequence
        assert (modifier.RelationshipType, method.RelationshipType) == ("HAS CONCEPT MOD", "HAS CONCEPT MOD")
        assert modifier.ConceptNameCodeSequence[0].CodeValue == "106233006"
        assert method.ConceptNameCodeSequence[0].CodeValue == "370129005"
        places.append(modifier.ConceptCodeSequence[0].CodeMeaning)
    assert places == ["Anterior", "Middle"]


@pytest.mark.parametrize(
    ("form", "storage_class"),
    [
        (ReportForm.COMPREHENSIVE_3D, "1.2.840.10008.5.1.4.1.1.88.34"),
        (ReportForm.COMPREHENSIVE, "1.2.840.10008.5.1.4.1.1.88.33"),
        (ReportForm.ENHANCED, "1.2.840.10008.5.1.4.1.1.88.22"),
    ],
)
def test_an_independent_reader_takes_every_class(
    single: Case, tmp_path: Path, form: ReportForm, storage_class: str
) -> None:
    (tmp_path / "sr.dcm").write_bytes(to_bytes(single.sr(single.segmentation(), form)))
    read = hd.sr.srread(tmp_path / "sr.dcm")
    assert read.SOPClassUID == storage_class
    (group,) = read.content.get_volumetric_roi_measurement_groups()
    assert group.tracking_uid == single.segments[0].tracking_uid
    assert group.get_measurements()[0].unit.value == "mm3"


def test_a_code_is_written_with_the_meaning_that_it_was_given(cervical: Case) -> None:
    for meaning in ("Cervical spine", "Neck", "Cervical spine"):
        sr = build_report(
            source=cervical.source,
            segmentation=None,
            report=ReportContent(remarks=("a",), target_region=Code("122494005", "SCT", meaning)),
            instance=result_instance("sr"),
        )
        (library,) = [item for item in sr.ContentSequence if item.ValueType == "CONTAINER"][:1]
        region = library.ContentSequence[0].ContentSequence[1]
        assert region.ConceptCodeSequence[0].CodeMeaning == meaning


def test_private_codes_and_those_of_fma_are_identified(sr: Dataset) -> None:
    private, fma = sr.CodingSchemeIdentificationSequence
    assert (private.CodingSchemeDesignator, private.CodingSchemeUID) == (
        "99CSPINE",
        "2.25.237491223862852458712066477547391335231",
    )
    assert private.CodingSchemeName == "Codes of the cspine-node project"
    assert private.CodingSchemeResponsibleOrganization == "cspine-node project"
    assert (fma.CodingSchemeDesignator, fma.CodingSchemeUID) == ("FMA", "2.16.840.1.113883.6.119")


def test_a_report_with_public_codes_only_identifies_no_scheme(cervical: Case) -> None:
    assert "CodingSchemeIdentificationSequence" not in nothing_found(cervical)


def test_a_report_may_consist_of_evaluations(cervical: Case) -> None:
    content = ReportContent(evaluations=(Evaluation(concept=codes.QUALITY_VERDICT, value=codes.REJECT),))
    sr = build_report(source=cervical.source, segmentation=None, report=content, instance=result_instance("sr"))
    assert read_report(sr).evaluations == content.evaluations
    assert read_report(sr).groups == ()


def test_the_report_is_complete_unverified_and_preliminary(sr: Dataset) -> None:
    assert (sr.CompletionFlag, sr.VerificationFlag, sr.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert sr.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert (str(sr.ContentDate), str(sr.ContentTime)) == ("20200102", "101112")
    assert (sr.SeriesNumber, sr.SeriesDescription) == (902, "Cervical spine measurements")


def test_the_evidence_is_the_source_images_and_the_segmentation(case: Case, segmentation: Dataset, sr: Dataset) -> None:
    uids = {reference.sop_instance_uid for reference in case.source.slices}
    assert read_report(sr).evidence == uids | {segmentation.SOPInstanceUID}
    (study,) = sr.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == case.source.headers[0].StudyInstanceUID


def test_the_observer_is_our_device(sr: Dataset) -> None:
    values = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in sr.ContentSequence}
    assert values["Device Observer Name"].TextValue == "cspine-node"
    assert values["Device Observer UID"].UID == "2.25.138198768513652997317239993897620372169"
    assert values["Procedure reported"].ConceptCodeSequence[0].CodeValue == "25056-3"


def test_a_report_of_nothing_found_says_so_and_has_no_groups(cervical: Case) -> None:
    sr = nothing_found(cervical)
    read = read_report(sr)
    assert read.groups == ()
    assert read.remarks == ("No vertebral body and no intervertebral disc was found.",)
    assert len(read.evidence) == 13
    assert parsed(sr).content.get_volumetric_roi_measurement_groups() == []


def test_a_group_about_a_segment_that_the_segmentation_does_not_hold_is_refused(single: Case, cervical: Case) -> None:
    with pytest.raises(InvalidResult, match="segment 2 of the report"):
        build_report(
            source=cervical.source,
            segmentation=single.segmentation(),
            report=cervical.report,
            instance=result_instance("sr"),
        )


def test_a_group_under_another_tracking_uid_than_its_segment_is_refused(single: Case) -> None:
    (measured,) = single.report.segments
    other = replace(measured, segment=replace(measured.segment, tracking_uid="1.2.3"))
    with pytest.raises(InvalidResult, match="segment 1 of the report"):
        replace(single, report=replace(single.report, segments=(other,))).sr(single.segmentation())


def test_a_value_that_a_decimal_string_cannot_hold_is_kept_as_floating_point_too(single: Case) -> None:
    (measured,) = single.report.segments
    odd = replace(measured.measurements[0], value=1234.567890123456)
    report = replace(single.report, segments=(replace(measured, measurements=(odd,)),))
    sr = replace(single, report=report).sr(single.segmentation())
    assert read_report(sr).groups[0].measurements == (odd,)


def test_a_report_of_20_groups_stays_small(cervical: Case) -> None:
    assert len(to_bytes(cervical.sr(cervical.segmentation()))) < 120_000


def test_a_written_report_reads_like_the_built_one(sr: Dataset, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("sr") / "sr.dcm"
    path.write_bytes(to_bytes(sr))
    assert read_report(dcmread(path)) == read_report(sr)
