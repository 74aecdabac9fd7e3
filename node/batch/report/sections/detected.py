"""How many structures are found at all: a missed disc hardly moves a Dice over a whole neck."""

from collections.abc import Sequence

from node.batch.evaluate.scores import DETECTION
from node.batch.evaluate.statistics import pooled_detection
from node.batch.report.document import Cell, Section, Table, columns, head
from node.batch.report.sections.computed import Computed
from node.batch.report.words import NOTHING, capital, figure, interval, number

_COUNTS = ("true_positives", "false_negatives", "false_positives")
_SHARES = ("precision", "recall", "f1")


def detection_section(computed: Sequence[Computed]) -> Section | None:
    """Return the table of what was found, missed and too many; None where no structures were counted."""
    rows = []
    for one in computed:
        for found in pooled_detection(one.subject.scores).itertuples():
            below = one.subject.name if len(computed) > 1 else ""
            name = str(found.structure)
            rows.append(
                (
                    head(capital(name), below),
                    Cell(text=number(int(str(found.cases)), 0)),
                    *(Cell(text=figure(metric, getattr(found, metric))) for metric in (*_COUNTS, *_SHARES)),
                    _by_case(one, name),
                )
            )
    if not rows:
        return None
    least = computed[0].subject.scores.options.get("least_iou", 0.5)
    table = Table(
        caption=f"Structures found at an intersection over union of at least {least}",
        columns=columns(
            "Structure",
            ("n", "cases"),
            "Found",
            "Missed",
            "Too many",
            "Precision",
            "Recall",
            "F1",
            ("F1", "mean of cases"),
        ),
        rows=tuple(rows),
        note="Counts, precision, recall and F1 are over the structures of all cases together; the last column is the "
        "mean over the cases with its 95 % interval (bootstrap over patients). Names play no part.",
    )
    return Section(anchor="detection", title="Detection of structures", parts=(table,))


def _by_case(one: Computed, name: str) -> Cell:
    if (row := one.row("f1", DETECTION, name)) is None:
        return Cell(text=NOTHING)
    span = interval(row["mean_low"], row["mean_high"], 3)
    return Cell(text=figure("f1", row["mean"]), below="" if span == NOTHING else span)
