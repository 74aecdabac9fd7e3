"""Bundles made for a test from the one that ships."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from node.segment.bundle import STARTER, Bundle, load_bundle, seal
from node.segment.nnunet import selftest
from node.segment.nnunet.answer import Image
from node.segment.nnunet.checkpoint import read_weights, write_weights


def shorten_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines that are made for one test only test themselves on a part of the phantom, in this process."""
    whole = selftest.phantom

    def part(orientation: str) -> Image:
        image = whole(orientation)
        return replace(image, voxels=image.voxels[3:9, 48:208, 48:208])

    monkeypatch.setattr(selftest, "phantom", part)


def changed_bundle(folder: Path, change: Callable[[Path], None], *, only: str | None = None) -> Path:
    """Copy the starter, let `change` alter what lies in it, and seal it again; with `only` one configuration of it."""
    bundle = folder / "bundle"
    shutil.copytree(STARTER, bundle)
    change(bundle)
    manifest = json.loads((bundle / "bundle.json").read_text())
    if only is not None:
        manifest["members"] = [member for member in manifest["members"] if member["folder"] == only]
    for own in ("format", "files"):
        del manifest[own]
    seal(bundle, manifest)
    return bundle


def ensemble_of_two_folds(folder: Path) -> Bundle:
    """Return the starter with a second fold in each configuration, and mirroring within the slices.

    The second fold is the first with each weight moved by up to one percent: trained weights that answer otherwise.
    """
    bundle = folder / "two-folds"
    shutil.copytree(STARTER, bundle)
    manifest = json.loads((bundle / "bundle.json").read_text())
    generator = torch.Generator().manual_seed(5)
    for member in manifest["members"]:
        weights = read_weights(bundle / member["folder"] / "fold_0.safetensors")
        moved = {
            name: (tensor.float() * (1 + 0.01 * (2 * torch.rand(tensor.shape, generator=generator) - 1))).to(
                tensor.dtype
            )
            for name, tensor in weights.items()
        }
        write_weights(bundle / member["folder"] / "fold_1.safetensors", moved)
        member["folds"] = ["0", "1"]
        member["mirror_axes"] = [0, 1] if member["configuration"] == "2d" else [2]
    for own in ("format", "files"):
        del manifest[own]
    seal(bundle, manifest)
    return load_bundle(bundle)
