"""The worst cases, with pictures: what a low figure looks like says more than the figure."""

from collections.abc import Sequence

from node.batch.evaluate.scores import CLASS, DETECTION, MEAN, UNION, Scores
from node.batch.evaluate.statistics import worst_cases
from node.batch.report.document import Cards, CaseCard, Cell, Paragraph, Part, Section, Subtitle, Table, columns, head
from node.batch.report.pictures import CasePicture, case_picture
from node.batch.report.subject import Subject, ViewOf, structures
from node.batch.report.words import capital, counted, figure
from node.errors import NodeError

#: Group, metric and the name of its column.
_SHOWN = (
    (CLASS, "dice", "Dice"),
    (CLASS, "hd95_mm", "HD95, mm"),
    (DETECTION, "false_negatives", "Missed"),
    (DETECTION, "false_positives", "Too many"),
)
#: A card has no room for more.
_MOST_CLASSES = 3
_HOW = (
    "Sorted by volumetric Dice ({}), the lowest first. Each picture has the slice in the middle of the reference "
    "and, beside it, the one in which most area is labelled differently. Head up, face to the left."
)
_NO_IMAGE = "The image itself was not at hand: outlines on black."


def worst_section(subjects: Sequence[Subject], most: int) -> Section | None:
    """Return up to `most` cases of each subject; None where there is none to show."""
    parts: list[Part] = []
    for subject in subjects:
        ranked_by, ranked = _ranked_by(subject.scores), worst_keys(subject.scores, most)
        if ranked_by and ranked:
            if len(subjects) > 1:
                parts.append(Subtitle(text=subject.name))
            parts.append(Paragraph(text=_HOW.format(ranked_by[1])))
            parts.append(Cards(cards=tuple(_card(subject, key) for key in ranked)))
    return Section(anchor="worst", title="Worst cases", parts=tuple(parts)) if parts else None


def worst_keys(scores: Scores, most: int) -> tuple[str, ...]:
    """Return the keys of up to `most` cases, the lowest Dice first; equal ones in the order of their keys."""
    if (ranked := _ranked_by(scores)) is None:
        return ()
    group, structure = ranked
    return tuple(str(key) for key in worst_cases(scores, "dice", group=group, structure=structure, count=most)["key"])


def _ranked_by(scores: Scores) -> tuple[str, str] | None:
    """Return the group and structure that says most about a case: a mean over classes, or what comes next."""
    return next(iter(structures(scores, (MEAN, UNION, CLASS))), None)


def _card(subject: Subject, key: str) -> CaseCard:
    picture, caption = _picture(subject.view, key)
    alt = ""
    if picture is not None:
        alt = (
            f"Sagittal slices {picture.middle} and {picture.worst} of {picture.count} of {key} with the outlines of "
            "reference and prediction"
        )
    return CaseCard(
        key=key,
        png=None if picture is None else picture.png,
        alt=alt,
        caption=caption,
        figures=_figures(subject.scores, key),
    )


def _picture(view_of: ViewOf | None, key: str) -> tuple[CasePicture | None, str]:
    """Return the picture of a case, if it can be had, and what stands below it."""
    if view_of is None:
        return None, "No picture: only the scores were given."
    try:
        view = view_of(key)
    except NodeError as error:
        return None, f"No picture: {error.code}."
    except OSError as error:
        return None, f"No picture: {type(error).__name__}."
    picture = case_picture(view)
    words = f"{counted(picture.count, 'slice')}, numbered from the patient's right."
    return picture, words if view.image is not None else f"{words} {_NO_IMAGE}"


def _figures(scores: Scores, key: str) -> Table:
    known = scores.scores[(scores.scores["key"] == key) & scores.scores["value"].notna()]
    table = known.set_index(["structure", "group", "metric"])["value"]
    named = known.loc[(known["group"] == CLASS) & (known["metric"] == "dice"), "structure"]
    rows = tuple(
        (
            head(capital(name)),
            *(Cell(text=figure(metric, table.get((name, group, metric)))) for group, metric, _ in _SHOWN),
        )
        for name in list(dict.fromkeys(named.astype(str)))[:_MOST_CLASSES]
    )
    return Table(caption=f"Figures of {key}", columns=columns("Structure", *(title for *_, title in _SHOWN)), rows=rows)
