"""Which objects a case needs, and for whom each is meant."""

from itertools import product

import pytest

from node.domain.case import OnReject, Order, ReportForm, SegmentationForm, Wanted
from node.encode.objects import Needed, needed_of

PLAIN = Wanted()
LABELMAP = Wanted(segmentation=SegmentationForm.LABELMAP)
ENHANCED = Wanted(report=ReportForm.ENHANCED)
PICTURES = Wanted(key_images=True)


def stems(needed: tuple[Needed, ...]) -> dict[str, frozenset[Wanted]]:
    return {one.stem: one.wanted for one in needed}


def ordered(*wanted: Wanted, on_reject: OnReject = OnReject.REPORT) -> Order:
    return Order(wanted=frozenset(wanted), on_reject=on_reject)


def test_one_destination_gets_one_pair() -> None:
    needed = needed_of(ordered(PLAIN), found=True, rejected=False)
    assert stems(needed) == {"seg": {PLAIN}, "sr": {PLAIN}}


def test_the_default_pair_is_kept_on_disk_where_nobody_wants_it() -> None:
    needed = needed_of(ordered(LABELMAP), found=True, rejected=False)
    assert stems(needed) == {
        "seg": frozenset(),
        "seg-labelmap": {LABELMAP},
        "sr": frozenset(),
        "sr-labelmap": {LABELMAP},
    }


def test_a_report_refers_to_the_segmentation_that_goes_to_the_same_destination() -> None:
    both = Wanted(segmentation=SegmentationForm.LABELMAP, report=ReportForm.ENHANCED)
    needed = needed_of(ordered(PLAIN, ENHANCED, both), found=True, rejected=False)
    assert stems(needed) == {
        "seg": {PLAIN, ENHANCED},
        "seg-labelmap": {both},
        "sr": {PLAIN},
        "sr-enhanced": {ENHANCED},
        "sr-enhanced-labelmap": {both},
    }


def test_one_object_serves_destinations_that_differ_in_what_does_not_concern_it() -> None:
    needed = needed_of(ordered(PLAIN, PICTURES), found=True, rejected=False)
    assert stems(needed) == {"seg": {PLAIN, PICTURES}, "sr": {PLAIN, PICTURES}, "key": {PICTURES}}


def test_every_segmentation_comes_before_the_reports_about_it() -> None:
    everything = ordered(*(Wanted(segmentation=s, report=r) for s, r in product(SegmentationForm, ReportForm)))
    needed = needed_of(everything, found=True, rejected=False)
    assert [one.stem for one in needed][:4] == ["seg", "seg-labelmap", "seg-fractional", "sr"]
    assert len(needed) == 3 + 9


def test_what_was_rejected_is_told_to_all_in_a_report_about_no_segmentation() -> None:
    needed = needed_of(ordered(LABELMAP, ENHANCED, PICTURES), found=True, rejected=True)
    assert stems(needed) == {"seg": frozenset(), "sr": {LABELMAP, PICTURES}, "sr-enhanced": {ENHANCED}}
    assert [one.segmentation for one in needed[1:]] == [None, None]


def test_what_was_rejected_is_told_to_nobody_where_nothing_is_to_be_sent() -> None:
    needed = needed_of(ordered(LABELMAP, PICTURES, on_reject=OnReject.NOTHING), found=True, rejected=True)
    assert stems(needed) == {"seg": frozenset(), "sr": frozenset()}


@pytest.mark.parametrize("on_reject", OnReject)
def test_nothing_found_is_told_to_all_and_has_no_segmentation(on_reject: OnReject) -> None:
    needed = needed_of(ordered(LABELMAP, PICTURES, on_reject=on_reject), found=False, rejected=False)
    assert stems(needed) == {"sr": {LABELMAP, PICTURES}}


def test_names_numbers_and_descriptions_tell_all_forms_apart() -> None:
    everything = ordered(
        PICTURES, *(Wanted(segmentation=s, report=r) for s, r in product(SegmentationForm, ReportForm))
    )
    needed = needed_of(everything, found=True, rejected=False)
    for told in ("stem", "series_number", "description"):
        assert len({getattr(one, told) for one in needed}) == len(needed) == 13
    assert all(len(one.description) <= 64 and "RESEARCH USE" in one.description for one in needed)


@pytest.mark.parametrize(
    ("stem", "number", "description"),
    [
        ("seg", 9001, "RESEARCH USE Cervical spine segmentation"),
        ("sr", 9002, "RESEARCH USE Cervical spine report"),
        ("key", 9003, "RESEARCH USE Cervical spine key images"),
        ("seg-labelmap", 9004, "RESEARCH USE Cervical spine segmentation (labelmap)"),
        ("sr-enhanced-labelmap", 9010, "RESEARCH USE Cervical spine report (enhanced, labelmap)"),
    ],
)
def test_a_form_has_the_same_number_in_every_study(stem: str, number: int, description: str) -> None:
    wanted = (PICTURES, LABELMAP, Wanted(segmentation=SegmentationForm.LABELMAP, report=ReportForm.ENHANCED))
    [one] = [one for one in needed_of(ordered(*wanted), found=True, rejected=False) if one.stem == stem]
    assert (one.series_number, one.description) == (number, description)
