"""Writes the model card that lies in the bundle."""

from collections.abc import Sequence
from pathlib import Path

from node.train.plans import SPACING_MM, Json

_NAMES = {"vertebral_body": "vertebral bodies", "intervertebral_disc": "intervertebral discs"}
_MEMBERS = ("2d", "3d_fullres", "ensemble")


def write_card(path: Path, evaluation: Json, version: str) -> None:
    """Write the card to `path`; every figure in it comes from `evaluation`, as `packing` puts it together."""
    training = evaluation["training"]
    text = "\n".join(
        [
            _head(version, training),
            _recipe(training, evaluation["curve"]),
            _phantoms(evaluation),
            *([_lumbar(evaluation["lumbar"], training)] if "lumbar" in evaluation else []),
            _real(evaluation.get("real", [])),
            _FAILURES,
        ]
    )
    path.write_text(text, encoding="utf-8")


def _head(version: str, training: Json) -> str:
    slices = training["lumbar_slices"]
    real = (
        f"{len(slices)} real lumbar slices with labels (sulaimanvesal/vertebraeSegementation, MIT; slices\n"
        f"{', '.join(map(str, slices))}) joined the training.\n"
        "No other picture of a patient was used in training or in choosing a snapshot."
        if slices
        else "No picture of a patient was used in training or in choosing a snapshot."
    )
    return f"""# cspine-starter {version}

**Demonstration only. Not for clinical use.**

An nnU-Net v2 ensemble (2d and 3d_fullres, one fold each) that labels vertebral bodies (C2 with its dens, downward) and
intervertebral discs in sagittal T2-weighted MR of the neck. It lets the node be installed, tried and tested without
anyone's data. For real work, put a model trained on real pictures in its place.

## Training data

{training["phantoms"]} procedurally generated necks (`node.train.phantom`, recipe seed {training["seed"]}).
{real}
What the generator does not draw, the model has never seen: fractures, tumours, infection, other planes than the
sagittal, other parts of the body than head, neck and chest. Few of its pictures look like T1 or fat saturation.
"""


def _recipe(training: Json, curve: Json) -> str:
    spacing = " x ".join(f"{distance:g}" for distance in SPACING_MM)
    rows = [
        (
            member,
            str(done["steps"]),
            str(training["batch"][member]),
            f"{done['minutes']:g}",
            f"{done['validation_dice']:.4f}",
            done["warm_start"][:12] or "nothing",
        )
        for member, done in sorted(training["fitted"].items())
    ]
    course = [
        (member, str(look["step"]), f"{look['minutes']:g}", f"{look['bodies']:.3f}", f"{look['discs']:.3f}")
        for member, looks in sorted(curve.items())
        for look in _some(looks)
    ]
    versions = ", ".join(f"{name} {number}" for name, number in sorted(training["versions"].items()))
    order = "Cases joined while the training ran, so that it cannot be repeated exactly." if training["overlap"] else ""
    begun = f"seed {training['seed']}, learning rate {training['learning_rate']:g}, on {training['device']}"
    return f"""## Recipe

`cspine-node train starter`: {begun}. {order}

Plain convolutional U-Nets in nnU-Net's own format, weights in half precision; spacing {spacing} mm, z-score of the
whole volume. Training arrays: slices to the right, rows to the head, columns to the back ("RSP").
Left-right mirroring is allowed at inference for 3d_fullres and not for 2d. Snapshots are exponential means of the
weights; the best on generated validation cases is kept. Versions: {versions}.

{_table(("member", "steps", "batch", "minutes", "validation Dice", "began with"), rows)}

Validation curve, Dice:

{_table(("member", "step", "minutes", "bodies", "discs"), course)}
"""


def _phantoms(evaluation: Json) -> str:
    rows = []
    for member in _MEMBERS:
        for kind, name in _NAMES.items():
            scores, tally = evaluation["dice"][member][kind], evaluation["found_once"][member][kind]
            share = f"{tally['found']} of {tally['there']}"
            rows.append((member, name, f"{scores['mean']:.4f}", f"{scores['lowest']:.4f}", share))
    seeds = f"seeds from {evaluation['first_seed']}"
    return f"""## Measured on generated necks

Volumetric Dice on {evaluation["volumes"]} held-out phantoms ({seeds}), with nnU-Net's own predictor, and how many
structures exactly one component covers that covers no other.

{_table(("member", "structure", "mean", "lowest", "found once"), rows)}

These figures say how well the model knows its generator, not how it does on patients.
"""


def _lumbar(lumbar: Json, training: Json) -> str:
    rows = [
        (f"{pixel} mm", member, _NAMES[kind], *(f"{members[member][kind][which]:.3f}" for which in ("mean", "lowest")))
        for pixel, members in sorted(lumbar["dice"].items())
        for member in _MEMBERS
        for kind in _NAMES
    ]
    joined = "other slices of this set joined" if training["lumbar_slices"] else "no slice of this set joined"
    return f"""## Measured on real lumbar slices

Dice on the slices {", ".join(map(str, lumbar["slices"]))}, which were kept apart ({joined} the training).
Each is a volume of one slice; the size of its pixels is not known, so that two are tried. Which slices are of one
patient is not known either.

{_table(("pixel", "member", "structure", "mean", "lowest"), rows)}
"""


def _real(rows: Sequence[Json]) -> str:
    if not rows:
        return """## Measured on real necks

Nothing was measured on real necks.
"""
    cells = [
        (
            str(row["volume"]),
            f"{row['bodies_found_once']} of {row['bodies_expected']}",
            f"{row['discs_found_once']} of {row['discs_expected']}",
            f"{row['outside_share']:.2%}",
            "yes" if row["names_right"] else "no",
            str(row["verdict"]),
        )
        for row in rows
    ]
    return f"""## Measured on real necks

Without masks: structures between the landmarks that were found exactly once, voxels outside the spine after clean-up,
whether the names of the levels are right, and the verdict of the node.

{_table(("volume", "bodies", "discs", "outside", "names right", "verdict"), cells)}
"""


_FAILURES = """## Failures to expect

Missed and merged levels, above all at narrow or bridged discs; false structures in the face and beside the spine;
errors at C2 and the dens, so that a level may be named one off; ragged contours in the outer slices. The node's verdict
says when a result needs review; it does not see every error.

## Licence

Apache-2.0, as the node.
"""


def _some(looks: Sequence[Json], most: int = 6) -> list[Json]:
    """Return at most `most` of the looks, evenly, the last among them."""
    each = -(-len(looks) // most)
    return [look for place, look in enumerate(reversed(looks)) if place % each == 0][::-1]


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
