from dataclasses import replace

import highdicom as hd
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from result_cases import Case, nothing_found, result_instance

from dicom_sr import InvalidResult, build_report, read_report, to_bytes


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
        (volume,) = group.get_measurements()
        assert volume.unit.value == "mm3"
        assert volume.value == pytest.approx(measured.measurements[0].value, abs=0.001)
        assert group.method.value == "126030"
        assert group.finding_type.value == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        assert group.finding_sites[0].value.value == "122494005"
        (reference,) = group.referenced_segment[0].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        assert reference.ReferencedSegmentNumber == segment.SegmentNumber


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
    assert len(to_bytes(cervical.sr(cervical.segmentation()))) < 60_000


def test_a_written_report_reads_like_the_built_one(sr: Dataset, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("sr") / "sr.dcm"
    path.write_bytes(to_bytes(sr))
    assert read_report(dcmread(path)) == read_report(sr)
