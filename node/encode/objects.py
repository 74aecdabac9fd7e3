"""Which objects a case needs, what they are called, and for which destinations each is meant.

A destination takes its report about the segmentation that it takes too, so there is a report for each pair of forms
that occurs. The default pair is always made: it stays on disk even where nobody wants it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node.domain.case import ObjectKind, OnReject, Order, ReportForm, SegmentationForm, Wanted

DEFAULT = Wanted()

#: What a file's name adds for a form other than the default.
_SEGMENTATION_SUFFIX: Mapping[SegmentationForm, str] = {
    SegmentationForm.BINARY: "",
    SegmentationForm.LABELMAP: "-labelmap",
    SegmentationForm.FRACTIONAL: "-fractional",
}
_REPORT_SUFFIX: Mapping[ReportForm, str] = {
    ReportForm.COMPREHENSIVE_3D: "",
    ReportForm.COMPREHENSIVE: "-comprehensive",
    ReportForm.ENHANCED: "-enhanced",
}

#: High, so that a viewer lists the results after the acquired series.
_FIRST_SERIES_NUMBER = 9001
#: Series Number (0020,0011), the same in every study, is the place in this row.
_STEMS = (
    *("seg", "sr", "key", "seg-labelmap", "seg-fractional", "sr-comprehensive", "sr-enhanced"),
    *("sr-labelmap", "sr-comprehensive-labelmap", "sr-enhanced-labelmap"),
    *("sr-fractional", "sr-comprehensive-fractional", "sr-enhanced-fractional"),
)

#: Series Description (0008,103E) of each kind, 64 characters at most with what a form adds.
_DESCRIPTIONS: Mapping[ObjectKind, str] = {
    ObjectKind.SEGMENTATION: "RESEARCH USE Cervical spine segmentation",
    ObjectKind.REPORT: "RESEARCH USE Cervical spine report",
    ObjectKind.KEY_IMAGE: "RESEARCH USE Cervical spine key images",
}
#: What stands behind the name of a published mask instead.
_OF_A_MASK: Mapping[ObjectKind, str] = {
    ObjectKind.SEGMENTATION: "",
    ObjectKind.REPORT: ", report",
    ObjectKind.KEY_IMAGE: ", key images",
}
_LONG_STRING = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A series of results: a SEG, a SR about that SEG, or the key images.

    `segmentation`: the form of the SEG, or of the SEG that a SR is about; None in a SR about none.
    """

    kind: ObjectKind
    segmentation: SegmentationForm | None = None
    report: ReportForm | None = None
    #: What it is meant for.
    wanted: frozenset[Wanted] = frozenset()

    @property
    def _forms(self) -> str:
        """What the names add for the forms, such as "-enhanced-labelmap"."""
        report = _REPORT_SUFFIX[self.report] if self.report is not None else ""
        return report + (_SEGMENTATION_SUFFIX[self.segmentation] if self.segmentation is not None else "")

    @property
    def stem(self) -> str:
        """The name of its file without ".dcm", and without the number of a key image."""
        kind = {ObjectKind.SEGMENTATION: "seg", ObjectKind.REPORT: "sr", ObjectKind.KEY_IMAGE: "key"}
        return kind[self.kind] + self._forms

    @property
    def series_number(self) -> int:
        """Series Number (0020,0011)."""
        return _FIRST_SERIES_NUMBER + _STEMS.index(self.stem)

    @property
    def _told_forms(self) -> str:
        forms = self._forms.removeprefix("-").replace("-", ", ")
        return f" ({forms})" if forms else ""

    @property
    def description(self) -> str:
        """Series Description (0008,103E)."""
        return _DESCRIPTIONS[self.kind] + self._told_forms

    def description_of_mask(self, name: str) -> str:
        """Return the Series Description where a published mask is converted: its name; forms where there is room."""
        described = f"RESEARCH USE {name}{_OF_A_MASK[self.kind]}"
        whole = described + self._told_forms
        return whole if len(whole) <= _LONG_STRING else described


def needed_of(order: Order, *, found: bool, rejected: bool) -> tuple[Needed, ...]:
    """Return what is to be made, each SEG before the SRs about it.

    Of a rejected result the SEG stays on disk, for whoever looks into it, and no report refers to it.
    """
    if not found or rejected:
        told = frozenset() if rejected and order.on_reject is OnReject.NOTHING else order.wanted
        return (*(_segmentations(frozenset()) if found else ()), *_reports_alone(told))
    return (*_segmentations(order.wanted), *_reports(order.wanted), *_key_images(order.wanted))


def _segmentations(wanted: frozenset[Wanted]) -> tuple[Needed, ...]:
    """Return the SEG in each form that is wanted; the default form first, wanted or not."""
    return tuple(
        Needed(
            kind=ObjectKind.SEGMENTATION,
            segmentation=form,
            wanted=frozenset(one for one in wanted if one.segmentation is form),
        )
        for form in SegmentationForm
        if form is DEFAULT.segmentation or any(one.segmentation is form for one in wanted)
    )


def _reports(wanted: frozenset[Wanted]) -> tuple[Needed, ...]:
    """Return the SR in each form about each form of the SEG that goes to the same destination; the default first."""
    pairs = {(one.segmentation, one.report) for one in (*wanted, DEFAULT)}
    return tuple(
        Needed(
            kind=ObjectKind.REPORT,
            segmentation=segmentation,
            report=report,
            wanted=frozenset(one for one in wanted if (one.segmentation, one.report) == (segmentation, report)),
        )
        for segmentation in SegmentationForm
        for report in ReportForm
        if (segmentation, report) in pairs
    )


def _reports_alone(wanted: frozenset[Wanted]) -> tuple[Needed, ...]:
    """Return the SR in each form that is wanted, about no SEG: there is none, or it is not to be used."""
    return tuple(
        Needed(kind=ObjectKind.REPORT, report=form, wanted=frozenset(one for one in wanted if one.report is form))
        for form in ReportForm
        if form is DEFAULT.report or any(one.report is form for one in wanted)
    )


def _key_images(wanted: frozenset[Wanted]) -> tuple[Needed, ...]:
    """Return the series of key images, where a destination wants it."""
    takers = frozenset(one for one in wanted if one.key_images)
    return (Needed(kind=ObjectKind.KEY_IMAGE, wanted=takers),) if takers else ()
