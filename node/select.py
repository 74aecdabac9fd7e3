"""Which route takes a series: its header held against the rules of each route.

What a rule asks for and the header does not say is a refusal of its own, so that an administrator sees what to relax.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from node.domain.case import Reason
from node.domain.series import SeriesHeader
from node.settings import RouteSettings, Rules

#: The patient axis, as an index into LPS, that each plane's normal lies closest to.
_NORMAL_OF = {"sagittal": 0, "coronal": 1, "axial": 2}
#: Characters of a description that patterns are searched in. LO has 64 at most (PS3.5 6.2); a stranger may send 65,000,
#: over which some patterns of an administrator would search for hours.
_READ = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The first route, in the order of the settings, whose rules all pass."""

    route: RouteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """No route takes the series; for each route, everything that speaks against it."""

    reasons: tuple[Reason, ...]


def select(header: SeriesHeader, routes: Sequence[RouteSettings]) -> Accepted | Rejected:
    """Return the first route that takes the series, or why none does."""
    reasons: list[Reason] = []
    for route in routes:
        against = objections(header, route.accept)
        if not against:
            return Accepted(route=route)
        reasons.extend(Reason(code=reason.code, text=f"{route.name}: {reason.text}") for reason in against)
    return Rejected(reasons=tuple(reasons))


def objections(header: SeriesHeader, rules: Rules) -> tuple[Reason, ...]:
    """Return everything in the header that speaks against it under `rules`."""
    return tuple(reason for rule in _RULES for reason in rule(header, rules))


def _modality(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    if header.modality != rules.modality:
        yield Reason(code="modality", text=f"Modality is not {rules.modality}")


def _region(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    """Ask for a word that names the region, and for no description that names another one only."""
    texts = (header.study_description, header.body_part_examined, header.protocol_name, header.series_description)
    if not _found(rules.region, texts):
        yield Reason(code="region", text="neither descriptions nor BodyPartExamined name the region asked for")
    for keyword, text in (
        ("StudyDescription", header.study_description),
        ("SeriesDescription", header.series_description),
        ("ProtocolName", header.protocol_name),
    ):
        if rules.other_region and _found(rules.other_region, (text,)) and not _found(rules.region, (text,)):
            yield Reason(code="other-region", text=f"{keyword} names another region")


def _descriptions(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    if not _found(rules.study_description, (header.study_description,)):
        yield Reason(code="study-description", text="StudyDescription matches no pattern")
    if not _found(rules.series_description, (header.series_description,)):
        yield Reason(code="series-description", text="SeriesDescription matches no pattern")
    if rules.exclude_description and _found(
        rules.exclude_description, (header.series_description, header.protocol_name)
    ):
        yield Reason(code="excluded-description", text="SeriesDescription or ProtocolName matches an excluded pattern")


def _image_type(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    excluded = sorted({value.upper() for value in rules.exclude_image_type} & {v.upper() for v in header.image_type})
    if excluded:
        yield Reason(code="image-type", text=f"ImageType holds {', '.join(excluded)}")


def _plane(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    """Slices without a common orientation pass here: the volume refuses them under the name of their fault."""
    if rules.plane == "any" or header.slice_orientation is None:
        return
    along = min(1.0, abs(header.slice_orientation[_NORMAL_OF[rules.plane]]))
    tilt = math.degrees(math.acos(along))
    if tilt > rules.maximum_tilt_deg:
        yield Reason(code="orientation", text=f"the slices are {tilt:.0f} degrees off the {rules.plane} plane")


def _timing(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    for keyword, code, value, least in (
        ("EchoTime", "echo-time", header.echo_time_ms, rules.minimum_echo_time_ms),
        ("RepetitionTime", "repetition-time", header.repetition_time_ms, rules.minimum_repetition_time_ms),
    ):
        if least == 0:
            continue
        if value is None:
            yield Reason(code=code, text=f"{keyword} is missing, at least {least:g} ms is asked for")
        elif value < least:
            yield Reason(code=code, text=f"{keyword} is {value:g} ms, at least {least:g} ms is asked for")


def _fat_suppression(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    """Compare what the scanner says of fat suppression: ScanOptions FS, or an inversion pulse (PS3.3 C.8.3.1)."""
    if rules.fat_suppression == "any":
        return
    signs = []
    if {"FS", "FATSAT", "SPIR", "SPAIR"} & {option.upper() for option in header.scan_options}:
        signs.append("ScanOptions holds fat saturation")
    if "IR" in {value.upper() for value in header.scanning_sequence} or header.inversion_time_ms:
        signs.append("the sequence is an inversion recovery")
    if signs and rules.fat_suppression == "absent":
        yield Reason(code="fat-suppressed", text=" and ".join(signs))
    if not signs and rules.fat_suppression == "present":
        yield Reason(code="fat-not-suppressed", text="nothing in the header says that fat is suppressed")


def _slices(header: SeriesHeader, rules: Rules) -> Iterable[Reason]:
    if header.slices < rules.minimum_slices:
        counted = "1 slice" if header.slices == 1 else f"{header.slices} slices"
        yield Reason(code="too-few-slices", text=f"{counted}, at least {rules.minimum_slices} are asked for")


_RULES: tuple[Callable[[SeriesHeader, Rules], Iterable[Reason]], ...] = (
    _modality,
    _region,
    _descriptions,
    _image_type,
    _plane,
    _timing,
    _fat_suppression,
    _slices,
)


def _found(patterns: Sequence[str], texts: Iterable[str | None]) -> bool:
    """Return whether any pattern is found at the beginning of any text; no patterns ask nothing."""
    present = [text[:_READ] for text in texts if text]
    return not patterns or any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns for text in present)
