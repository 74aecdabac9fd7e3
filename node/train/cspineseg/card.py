"""The model card of a model that was trained on the download; every figure comes from the evaluation."""

from collections.abc import Sequence

from node.train.cspineseg.workspace import Json

_METRICS = {
    "dice": "Dice, volumetric",
    "slice_mean_dice": "mean slice Dice, as published",
    "hd95_mm": "HD95, mm",
    "assd_mm": "average surface distance, mm",
    "f1": "F1 of structures at IoU 0.5",
}


def card(name: str, version: str, intended_use: str, evaluation: Json) -> str:
    """Return the card as Markdown."""
    split, training = evaluation["split"], evaluation["training"]
    drawn = "by a split file of the trainer's own" if split["own_file"] else f"by seed {split['seed']}"
    weak = ", some with weak masks (drawn by the publishers' ensemble)" if split["weak_masks"] else ""
    rows = [
        (
            answer,
            row["structure"],
            words,
            _figure(row, "mean"),
            _interval(row),
        )
        for answer, figures in evaluation["test"].items()
        for row in figures
        for metric, words in _METRICS.items()
        if row["metric"] == metric
    ]
    return f"""# {name} {version}

{intended_use}

An nnU-Net v2 model that labels vertebral bodies (C2 and down; C1 is left out) and intervertebral discs in sagittal
T2-weighted MR of the cervical spine.

## Data

The public CSpineSeg data set (Zhou et al., Scientific Data 12:1695, 2025): one centre, GE and Siemens, 1.5 T and 3 T.
{split["training"]} exams to train on{weak}, {split["test"]} to test on.
Split by patient {drawn}: no patient is on both sides. Five folds of whole patients, of
{", ".join(map(str, split["folds"]))} exams. Digest of cases and folds: {split["digest"]}.

## Training

nnU-Net {training["nnunetv2"]}, its own commands: trainer {training["trainer"]}, plans
{training["plans"]}, configurations {", ".join(training["configurations"])}, folds
{", ".join(map(str, training["folds"]))}. Training arrays: slices to the right, rows to the head, columns to the back
("RSP"). The training cannot be repeated to the bit: nnU-Net draws patches and augmentation without a seed.

## On the test part

Means over cases with bootstrap intervals over patients (95 %). Predicted with
{evaluation["predicted_with"]}. The published figure, a mean over
slices where an empty slice on both sides counts 1, is higher than volumetric Dice.

{_table(("answer", "structure", "figure", "mean", "interval"), rows)}

## Licence

The weights were learnt from data that are given under a data use agreement. Whether they may be passed on, and under
which licence, follows from that agreement; this card does not grant it.
"""


def _interval(row: Json) -> str:
    return f"{_figure(row, 'mean_low')} to {_figure(row, 'mean_high')}"


def _figure(row: Json, name: str) -> str:
    value = row.get(name)
    return "-" if value is None else f"{value:.3f}"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
