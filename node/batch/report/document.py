"""The page as data: what the template needs to know, and nothing of how it came about.

Every text is plain and is escaped by the template. `Drawing.svg` alone is markup: it comes from `svg.inline_svg`.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A field: its words, smaller words below them such as an interval, and whether it heads its row."""

    text: str
    below: str = ""
    heads_row: bool = False
    #: Numbers stand at the right, words at the left.
    is_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name, and smaller words below it such as a unit or which direction is better."""

    name: str
    below: str = ""
    is_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its caption, columns, rows, and a note below it. `quiet_rows`: indices of rows that are not results."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    quiet_rows: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Raise ValueError where a row has not one cell a column."""
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.caption}: a row has another number of cells than there are columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A sentence or more; `warns` where the reader must not overlook it."""

    kind: ClassVar[str] = "paragraph"
    text: str
    warns: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtitle:
    """A heading within a section."""

    kind: ClassVar[str] = "subtitle"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure: an SVG element of `svg.inline_svg`, and what stands below it."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Figures side by side where there is room."""

    kind: ClassVar[str] = "gallery"
    drawings: tuple[Drawing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCard:
    """A case with its picture (PNG; None where there is none), what stands below it, and its figures."""

    key: str
    png: bytes | None
    alt: str
    caption: str
    figures: Table

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.png or b'').decode('ascii')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """Cases with pictures; the template puts the key of the two outlines above them where `has_pictures`."""

    kind: ClassVar[str] = "cards"
    cards: tuple[CaseCard, ...]

    @property
    def has_pictures(self) -> bool:
        """Whether any of them has one."""
        return any(card.png for card in self.cards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Terms and what they mean."""

    kind: ClassVar[str] = "definitions"
    terms: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a reader opens who wants it: its title, and parts."""

    kind: ClassVar[str] = "folded"
    title: str
    parts: tuple[Table | Paragraph | Gallery, ...]


Part = Table | Paragraph | Subtitle | Gallery | Cards | Definitions | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section: an anchor for links, a title, and parts in the order of reading."""

    anchor: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole page: title, the result in a sentence, facts as pairs of name and value, and sections."""

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    footer: str


def head(text: str, below: str = "") -> Cell:
    """Return the cell that names its row."""
    return Cell(text=text, below=below, heads_row=True, is_number=False)


def words(text: str, below: str = "") -> Cell:
    """Return a cell of words."""
    return Cell(text=text, below=below, is_number=False)


def columns(*names: str | tuple[str, str], words_first: int = 1) -> tuple[Column, ...]:
    """Return columns of these names, or names with what stands below them; the first `words_first` hold words."""
    pairs: Sequence[tuple[str, str]] = [name if isinstance(name, tuple) else (name, "") for name in names]
    return tuple(
        Column(name=name, below=below, is_number=number >= words_first) for number, (name, below) in enumerate(pairs)
    )
