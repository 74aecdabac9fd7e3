"""Figures of matplotlib as SVG within the page: colours follow light and dark, words stay words, no date, no link."""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Colours of the figures; each becomes a variable of the page's style sheet, which has it for light and for dark.
INK, MUTED, RULE, PAPER = "#101214", "#5a6068", "#d4d8dc", "#fefefe"
#: One a prediction, or a kind of structure: told apart by colour-blind readers (Okabe and Ito).
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
}
#: At 96 dots an inch of CSS, 8 pt are the 10.7 px of the page's small print.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cspine-node",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
}


@contextmanager
def drawn(width: float, height: float) -> Iterator[Figure]:
    """Give an empty figure of `width` times `height` inches in the style of the page."""
    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """Return `figure` as an SVG element for HTML. `name` parts its identifiers from those of other figures.

    `alt` is what it shows, in a sentence, for those who do not see it. The same figure gives the same text.
    """
    text = io.StringIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"\s*<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"font(-family)?: (?:(\d[\d.]*px) )?'DejaVu Sans'[^;\"]*", _size_alone, drawing)
    drawing = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', drawing)
    drawing = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", drawing)
    drawing = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', drawing)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, variable)
    size = re.search(r'width="([\d.]+)pt"[^>]*?viewBox="([^"]+)"', drawing)
    if size is None:
        raise ValueError("matplotlib wrote an SVG without a size")
    width, view_box = size.groups()
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view_box}" '
        f'style="max-width: {float(width) * 4 / 3:.0f}px" role="img" aria-label="{html.escape(alt)}">'
    )
    return head + drawing[drawing.index(">") + 1 :].strip()


def _size_alone(found: re.Match[str]) -> str:
    """Leave of a font its size: the family is the page's."""
    size = found.group(2)
    return f"font-size: {size}" if size else "font-family: inherit"
