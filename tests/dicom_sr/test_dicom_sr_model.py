from dataclasses import replace
from datetime import datetime

import pytest
from result_cases import ALGORITHM, EQUIPMENT, result_instance, segment_specs

from dicom_sr import AlgorithmType, CIELab, InvalidResult, Measurement, MeasurementGroup, ReportContent, codes


@pytest.mark.parametrize("name", ["", "x" * 65, "Müller", "a\\b", "a\nb"])
def test_a_text_that_not_every_character_set_can_write_is_refused(name: str) -> None:
    with pytest.raises(InvalidResult):
        replace(ALGORITHM, name=name)
    with pytest.raises(InvalidResult):
        replace(EQUIPMENT, model_name=name)
    with pytest.raises(InvalidResult):
        replace(segment_specs(1)[0], label=name)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measurement_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(InvalidResult, match="Volume is not a finite number"):
        Measurement(concept=codes.VOLUME, value=value, unit=codes.MM3)


def test_a_colour_outside_cielab_is_refused() -> None:
    with pytest.raises(InvalidResult):
        CIELab(lightness=101.0, a=0.0, b=0.0)


def test_a_group_that_says_nothing_is_refused() -> None:
    with pytest.raises(InvalidResult, match="neither a measurement nor an evaluation"):
        MeasurementGroup(tracking_id="a", tracking_uid="1.2.3")


def test_only_a_segment_outlined_by_hand_may_name_no_algorithm() -> None:
    (segment,) = segment_specs(1)
    for kind in (AlgorithmType.AUTOMATIC, AlgorithmType.SEMIAUTOMATIC):
        with pytest.raises(InvalidResult, match="names no algorithm"):
            replace(segment, algorithm=None, algorithm_type=kind)
    assert replace(segment, algorithm=None, algorithm_type=AlgorithmType.MANUAL).algorithm is None


def test_a_report_that_says_nothing_is_refused() -> None:
    with pytest.raises(InvalidResult, match="needs a remark"):
        ReportContent()


def test_a_remark_that_not_every_character_set_can_write_is_refused() -> None:
    with pytest.raises(InvalidResult, match="ASCII"):
        ReportContent(remarks=("voilà",))


@pytest.mark.parametrize("number", [0, 2**31])
def test_a_series_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(InvalidResult, match="series number"):
        replace(result_instance("seg"), series_number=number)


def test_a_time_has_a_fraction_only_where_there_is_one() -> None:
    instance = result_instance("seg")
    assert (instance.content_date, instance.content_time) == ("20200102", "101112")
    later = replace(instance, content_datetime=datetime(2020, 1, 2, 3, 4, 5, 67))  # noqa: DTZ001
    assert later.content_time == "030405.000067"
