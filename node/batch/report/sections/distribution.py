"""Box plots of the figures by case: a mean hides the few cases that went wrong."""

from collections.abc import Sequence

from node.batch.evaluate.scores import CLASS, METRICS
from node.batch.report.document import Drawing, Gallery, Paragraph, Section
from node.batch.report.plots import Boxes, box_plot
from node.batch.report.subject import Subject, structures
from node.batch.report.words import capital, counted, titled

_METRICS = ("dice", "hd95_mm", "assd_mm", "nsd", "slice_mean_dice")
_HOW = (
    "Median, quartiles, and whiskers to the farthest case within 1.5 times the distance of the quartiles. Up to 80 "
    "cases are drawn each as a point; of more, only those beyond the whiskers."
)


def distribution_section(subjects: Sequence[Subject]) -> Section | None:
    """Return a box plot for each metric: a row a class, a colour a prediction; None where no figure is defined."""
    drawings = tuple(drawing for metric in _METRICS if (drawing := _drawing(subjects, metric)))
    if not drawings:
        return None
    parts = (Paragraph(text=_HOW), Gallery(drawings=drawings))
    return Section(anchor="distribution", title="Distribution over the cases", parts=parts)


def _drawing(subjects: Sequence[Subject], metric: str) -> Drawing | None:
    names = dict.fromkeys(name for subject in subjects for _, name in structures(subject.scores, (CLASS,)))
    rows = []
    for name in names:
        tables = (subject.scores.values(metric, group=CLASS, structure=name) for subject in subjects)
        values = tuple(tuple(float(value) for value in table["value"]) for table in tables)
        if any(values):
            rows.append(Boxes(name=capital(name), values=values))
    if not rows:
        return None
    title = titled(METRICS[metric])
    alt = f"Box plot of {title} for {counted(len(rows), 'class', 'classes')}"
    return Drawing(
        svg=box_plot(f"box-{metric}", title, rows, [subject.name for subject in subjects], alt),
        caption=f"{title}: {_better(metric)}.",
    )


def _better(metric: str) -> str:
    return "more is better" if METRICS[metric].more_is_better else "less is better"
