"""The measurements as a picture: a table by level, what was not seen, and how far to trust it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from node.domain.anatomy import StructureKind, colour, listed
from node.domain.findings import Findings, Measures, Presence, Quantity, Structure, Verdict
from node.draw.lettering import WHITE, font

#: Height of the words above every picture.
BAND_PX = 84
_WARNING = (255, 200, 60)
_GREY = (170, 170, 170)
_STRIPE = (26, 26, 26)
_VERDICTS: Mapping[Verdict, tuple[str, tuple[int, int, int]]] = {
    Verdict.GOOD: ("GOOD", (130, 220, 130)),
    Verdict.REVIEW: ("REVIEW before use", _WARNING),
    Verdict.REJECT: ("REJECTED: do not use", (255, 90, 80)),
}

_WIDTH_PX, _LEAST_HEIGHT_PX = 1280, 1024
_MARGIN_PX = 24
_ROW_PX, _TEXT_PX = 30, 21
#: Characters of `_TEXT_PX` that a line across the picture holds, at most.
_LINE_LETTERS = 112
_KIND_WORDS = {StructureKind.VERTEBRAL_BODY: "body", StructureKind.INTERVERTEBRAL_DISC: "disc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column of numbers; its words end at `right`, in pixels."""

    quantity: Quantity
    above: str
    unit: str
    right: int
    decimals: int


_COLUMNS = tuple(
    _Column(quantity=quantity, above=above, unit=unit, right=right, decimals=decimals)
    for quantity, above, unit, right, decimals in (
        (Quantity.VOLUME, "volume", "mm3", 310, 0),
        (Quantity.HEIGHT_ANTERIOR, "height", "front, mm", 440, 1),
        (Quantity.HEIGHT_MIDDLE, "height", "middle, mm", 570, 1),
        (Quantity.HEIGHT_POSTERIOR, "height", "back, mm", 690, 1),
        (Quantity.DEPTH, "depth", "mm", 780, 1),
        (Quantity.WEDGE_ANGLE, "wedge", "deg", 870, 1),
        (Quantity.DISC_HEIGHT_INDEX, "height", "index", 960, 2),
        (Quantity.T2_RATIO_MEAN, "T2", "ratio", 1050, 2),
        (Quantity.SLIP, "slip", "mm", 1130, 1),
    )
)
_SURE_RIGHT_PX = 1250


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    text: str
    fill: tuple[int, int, int] = WHITE


def summary(findings: Findings) -> Image.Image:
    """Return the picture: the table, unless the result is not to be used, then what is to be said in words."""
    usable = findings.quality.verdict is not Verdict.REJECT
    structures = findings.structures if usable else ()
    lines = list(_remarks(findings, usable=usable))
    rows = len(structures) + (2 if structures else 0)
    height = BAND_PX + rows * _ROW_PX + len(lines) * _ROW_PX + 3 * _MARGIN_PX
    sheet = Image.new("RGB", (_WIDTH_PX, max(_LEAST_HEIGHT_PX, height)), "black")
    draw = ImageDraw.Draw(sheet)
    draw_band(draw, sheet.width, findings)
    top = BAND_PX + _MARGIN_PX
    if structures:
        slips = {pair.upper: pair.measures for pair in findings.pairs}
        _draw_head(draw, top)
        for number, structure in enumerate(structures):
            _draw_row(draw, top + (number + 2) * _ROW_PX, structure, slips.get(structure.label, {}))
        top += rows * _ROW_PX + _MARGIN_PX
    for number, line in enumerate(lines):
        draw.text((_MARGIN_PX, top + number * _ROW_PX), line.text, font=font(_TEXT_PX), fill=line.fill)
    return sheet


def draw_band(draw: ImageDraw.ImageDraw, width: int, findings: Findings) -> None:
    """Write what every picture says: that it is for research, who made it, and whether it can be used."""
    algorithm = findings.algorithm
    verdict, fill = _VERDICTS[findings.quality.verdict]
    draw.text((16, 12), "RESEARCH USE - NOT FOR DIAGNOSIS", font=font(28), fill=_WARNING)
    draw.text((width - 16, 12), verdict, font=font(28), fill=fill, anchor="ra")
    what = "measured" if findings.origin.is_mask else "model"
    made = f"{algorithm.name} {algorithm.version}, {what} {algorithm.bundle_name} {algorithm.bundle_version}"
    draw.text((16, 50), _plain(textwrap.shorten(made, 90)), font=font(20), fill=_GREY)


def _draw_head(draw: ImageDraw.ImageDraw, top: int) -> None:
    for column in _COLUMNS:
        for number, word in enumerate((column.above, column.unit)):
            draw.text((column.right, top + number * 26), word, font=font(19), fill=_GREY, anchor="ra")
    for number, word in enumerate(("name", "sure")):
        draw.text((_SURE_RIGHT_PX, top + number * 26), word, font=font(19), fill=_GREY, anchor="ra")
    draw.text((_MARGIN_PX, top + 26), "level", font=font(19), fill=_GREY)


def _draw_row(draw: ImageDraw.ImageDraw, top: int, structure: Structure, below: Measures) -> None:
    """Draw the row of a structure; `below`: what is measured between it and the next body."""
    if structure.kind is StructureKind.VERTEBRAL_BODY:
        draw.rectangle((0, top - 3, _WIDTH_PX, top + _ROW_PX - 4), fill=_STRIPE)
    draw.rectangle((_MARGIN_PX, top + 3, _MARGIN_PX + 14, top + 19), fill=colour(structure.kind, structure.level))
    name = structure.level.name if structure.level else f"{_KIND_WORDS[structure.kind]} {structure.ordinal}"
    draw.text((_MARGIN_PX + 26, top), name + (" (cut)" if structure.truncated else ""), font=font(_TEXT_PX), fill=WHITE)
    values = {**structure.measures, **below, Quantity.VOLUME: structure.volume_mm3}
    for column in _COLUMNS:
        if (value := values.get(column.quantity)) is not None:
            text = f"{value:z.{column.decimals}f}"
            draw.text((column.right, top), text, font=font(_TEXT_PX), fill=WHITE, anchor="ra")
    sure = f"{structure.level_confidence:.0%}" if structure.level else "unknown"
    draw.text((_SURE_RIGHT_PX, top), sure, font=font(_TEXT_PX), fill=WHITE, anchor="ra")


def _remarks(findings: Findings, *, usable: bool) -> Iterator[_Line]:
    """Return the lines below the table."""
    if usable:
        yield from map(_line_of, _totals(findings))
        for presence in Presence:
            if levels := [item.level for item in findings.missing if item.presence is presence]:
                yield from _wrapped(f"{presence.value}: {listed(levels)}")
    if findings.quality.objections:
        yield _line_of("")
    for objection in findings.quality.objections:
        _, fill = _VERDICTS[objection.verdict]
        yield from _wrapped(f"{objection.verdict.value}: {objection.text}", fill)
    yield _line_of("")
    yield from _wrapped(findings.algorithm.intended_use, _GREY)


def _totals(findings: Findings) -> Iterator[str]:
    volumes = [f"{kind.value.replace('_', ' ')} {mm3:.0f} mm3" for kind, mm3 in findings.class_volume_mm3.items()]
    yield f"total: {', '.join(volumes)}"
    angles = [
        f"{words} {findings.curvature[quantity]:z.1f}\N{DEGREE SIGN}"
        for quantity, words in (
            (Quantity.LORDOSIS_COBB, "Cobb"),
            (Quantity.LORDOSIS_POSTERIOR_TANGENT, "posterior tangents"),
        )
        if quantity in findings.curvature
    ]
    if angles:
        yield f"lordosis C2-C7: {', '.join(angles)}"


def _wrapped(text: str, fill: tuple[int, int, int] = WHITE) -> Sequence[_Line]:
    return [_Line(text=line, fill=fill) for line in textwrap.wrap(_plain(text), _LINE_LETTERS, subsequent_indent="   ")]


def _line_of(text: str) -> _Line:
    return _Line(text=_plain(text))


def _plain(text: str) -> str:
    """Return `text` in letters that the font has."""
    kept = "\N{DEGREE SIGN}"
    return "".join(letter if letter.isascii() or letter == kept else "?" for letter in text)
