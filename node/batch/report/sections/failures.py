"""Cases that could not be compared: they enter no figure, so a reader must see them."""

from collections.abc import Sequence

from node.batch.report.document import Folded, Paragraph, Section, Table, columns, head, words
from node.batch.report.subject import Subject
from node.batch.report.words import counted

_FEW = 12


def failure_section(subjects: Sequence[Subject]) -> Section | None:
    """Return every failure with its reason; None where there is none."""
    rows = tuple(
        (
            head(str(row.key)),
            *((words(subject.name),) if len(subjects) > 1 else ()),
            words(str(row.code), str(row.reason)),
        )
        for subject in subjects
        for row in subject.scores.failures.itertuples()
    )
    if not rows:
        return None
    named = ("Prediction",) if len(subjects) > 1 else ()
    counts = counted(len(rows), "comparison" if named else "case")
    table = Table(
        caption=f"{counts} without figures",
        columns=columns("Case", *named, "Reason", words_first=3),
        rows=rows,
    )
    told = Paragraph(
        text=f"{counts} could not be {'made' if named else 'compared'} and {'enters' if len(rows) == 1 else 'enter'} "
        "no figure on this page. Where failures are not random, the figures flatter the model.",
        warns=True,
    )
    part = table if len(rows) <= _FEW else Folded(title=f"All {len(rows)} of them", parts=(table,))
    return Section(anchor="failures", title="Cases that could not be compared", parts=(told, part))
