"""Writes the model card that lies in the bundle."""

from pathlib import Path

from node.train.plans import SPACING_MM, Json

_NAMES = {"vertebral_body": "vertebral bodies", "intervertebral_disc": "intervertebral discs"}


def write_card(path: Path, evaluation: Json, version: str) -> None:
    """Write the card to `path`; every figure in it comes from `evaluation`."""
    rows = [
        f"| {member} | {_NAMES[kind]} | {scores['mean']:.4f} | {scores['lowest']:.4f} |"
        for member, kinds in sorted(evaluation["dice"].items())
        for kind, scores in sorted(kinds.items())
    ]
    training = evaluation["training"]
    effort = "; ".join(
        f"{member} {int(done['steps'])} steps, {done['minutes']:g} minutes"
        for member, done in sorted(training["fitted"].items())
    )
    spacing = " x ".join(f"{distance:g}" for distance in SPACING_MM)
    table = "\n".join(rows)
    text = f"""# cspine-starter {version}

**Demonstration only, trained on generated images. Not for clinical use.**

An nnU-Net v2 ensemble (2d and 3d_fullres, one fold each) that labels vertebral bodies (C2 with its dens, downward) and
intervertebral discs in sagittal T2-weighted MR of the neck. It lets the node be installed, tried and tested without
anyone's data. For real work, put a model trained on real pictures in its place.

## Training data

{training["phantoms"]} procedurally generated necks (`node.train.phantom`, recipe seed {training["seed"]}).
No picture of a patient was used in training or in choosing a snapshot. What the generator does not draw, the model has
never seen: fractures, tumours, implants, fusions, severe scoliosis, fat saturation, other sequences, other planes.

## Networks

Plain convolutional U-Nets in nnU-Net's own format, weights in half precision; spacing {spacing} mm, z-score of the
whole volume. Training arrays: slices to the right, rows to the head, columns to the back ("RSP").
Left-right mirroring is allowed at inference for 3d_fullres and not for 2d. Fitting: {effort}.

## Measured

Volumetric Dice on {evaluation["volumes"]} held-out phantoms (seeds from {evaluation["first_seed"]}), with
nnU-Net's own predictor.

| member | structure | mean | lowest |
|---|---|---|---|
{table}

These figures say how well the model knows its generator. They say nothing about patients: on real pictures expect
missed and merged levels, false structures in the face and beside the spine, and errors at C2 most of all.

## Licence

Apache-2.0, as the node.
"""
    path.write_text(text, encoding="utf-8")
