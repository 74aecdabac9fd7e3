"""What an evaluation ends in: three tables, and how they were made.

`cases`, one row a case, in the order of the keys:

    key                        names the case in every table
    patient_id                 the dataset's own pseudonym; the key where nobody knows: each case is then a patient
    manufacturer               as "GE" and "Siemens"
    magnetic_field_strength    T
    slice_thickness            mm
    sex                        as the table says it, such as "Female"
    age                        years
    annotation                 how the reference came about: "expert" or "weak"
    ...                        what else the manifest has, by its own column

What nobody knows is empty (NaN).

`scores`, one row a figure (long form):

    key          the case
    structure    what it is about: a label of the scheme ("vertebrae", "discs", "C5", "disc 201"), several taken as
                 one or averaged ("spine", "macro"), or a level ("C5", "C5-C6" of a fused block, "C5/C6" of a disc)
    group        "class": a label of the scheme. "union": several labels as one region. "mean": the mean over several
                 classes. "level": one structure with an anatomical name. "detection": the structures of a class
    metric       a key of `METRICS`
    value        float64; NaN where the figure is not defined, such as the Dice of two empty masks

`failures`, one row a case that could not be compared:

    key, code, reason    the code of the error, and a sentence
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from node.durable import write_durably
from node.errors import InputError

#: Columns that `cases` always has, in their order.
CASE_COLUMNS = (
    "key",
    "patient_id",
    "manufacturer",
    "magnetic_field_strength",
    "slice_thickness",
    "sex",
    "age",
    "annotation",
)
#: Those of them that are numbers.
CASE_NUMBERS = ("magnetic_field_strength", "slice_thickness", "age")
SCORE_COLUMNS = ("key", "structure", "group", "metric", "value")
FAILURE_COLUMNS = ("key", "code", "reason")

CLASS, UNION, MEAN, LEVEL, DETECTION = "class", "union", "mean", "level", "detection"
GROUPS = (CLASS, UNION, MEAN, LEVEL, DETECTION)

_TABLES = ("cases", "scores", "failures")
_ABOUT = "evaluation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure: its key in tables, its name for readers, its unit, and whether more is better (None: neither)."""

    key: str
    title: str
    unit: str
    more_is_better: bool | None


#: Every figure that `scores` can hold, by its key. `surfaces`, `slices`, `detection` and `levels` define them.
METRICS: Mapping[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(key="dice", title="Dice", unit="", more_is_better=True),
        Metric(key="hd95_mm", title="HD95", unit="mm", more_is_better=False),
        Metric(key="assd_mm", title="Average surface distance", unit="mm", more_is_better=False),
        Metric(key="nsd", title="Normalised surface Dice", unit="", more_is_better=True),
        Metric(key="volume_prediction_mm3", title="Volume, prediction", unit="mm3", more_is_better=None),
        Metric(key="volume_reference_mm3", title="Volume, reference", unit="mm3", more_is_better=None),
        Metric(
            key="slice_mean_dice", title="Mean slice Dice (array axis 2, as published)", unit="", more_is_better=True
        ),
        Metric(key="sagittal_slice_mean_dice", title="Mean slice Dice (sagittal)", unit="", more_is_better=True),
        Metric(
            key="paper_disc_dice", title="Disc Dice in the middle slice (as published)", unit="", more_is_better=True
        ),
        Metric(key="precision", title="Precision", unit="", more_is_better=True),
        Metric(key="recall", title="Recall", unit="", more_is_better=True),
        Metric(key="f1", title="F1", unit="", more_is_better=True),
        Metric(key="true_positives", title="Structures found", unit="", more_is_better=True),
        Metric(key="false_positives", title="Structures too many", unit="", more_is_better=False),
        Metric(key="false_negatives", title="Structures missed", unit="", more_is_better=False),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """The tables of an evaluation (see above), the scheme's name, and the options that it was made with (JSON)."""

    cases: pd.DataFrame
    scores: pd.DataFrame
    failures: pd.DataFrame
    scheme: str
    options: Mapping[str, str | float | bool | None]

    def values(self, metric: str, *, group: str, structure: str | None = None) -> pd.DataFrame:
        """Return the figures of one metric and group, of one structure or of all: key, structure, value, and the
        columns of `cases`. What is not defined (NaN) is left out.
        """
        table = self.scores
        wanted = (table["metric"] == metric) & (table["group"] == group) & table["value"].notna()
        if structure is not None:
            wanted &= table["structure"] == structure
        return table.loc[wanted, ["key", "structure", "value"]].merge(self.cases, on="key", how="left")


def write_scores(scores: Scores, folder: Path) -> None:
    """Write the tables into `folder`, each as Parquet and as TSV, and `evaluation.json`; then they are on the disk.

    Raises OSError.
    """
    for name in _TABLES:
        table: pd.DataFrame = getattr(scores, name)
        write_durably(folder / f"{name}.parquet", [table.to_parquet(None, index=False)])
        write_durably(folder / f"{name}.tsv", [table.to_csv(None, sep="\t", index=False, na_rep="").encode()])
    about = {"scheme": scores.scheme, "options": dict(scores.options)}
    write_durably(folder / _ABOUT, [(json.dumps(about, indent=2) + "\n").encode()])


def read_scores(folder: Path) -> Scores:
    """Return what `write_scores` left in `folder`. Raises InputError where something of it is missing or broken."""
    try:
        about = json.loads((folder / _ABOUT).read_bytes())
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES}
        return Scores(scheme=about["scheme"], options=about["options"], **tables)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:  # pyarrow's and json's errors are ValueErrors
        raise InputError(f"{folder}: no tables of an evaluation") from error
