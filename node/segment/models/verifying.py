"""A bundle tried as far as it goes without an image: every network built, every weight in its place."""

import torch

from node.errors import BundleError, ModelRefused
from node.segment.bundle import Bundle
from node.segment.models.plans import labels_of
from node.segment.nnunet.checkpoint import read_weights
from node.segment.nnunet.network import build_network, load_weights, read_plan


def verify_networks(bundle: Bundle) -> dict[str, int]:
    """Return the number of weights of each fold, such as "2d fold 0". Raises BundleError, ModelRefused."""
    counts: dict[str, int] = {}
    for member in bundle.members:
        plan = read_plan(member.folder, member.configuration)
        if strange := sorted(bundle.labels.keys() - set(labels_of(plan.dataset).values())):
            raise ModelRefused(f"{member.configuration} has no label {strange[0]}, of which the manifest speaks")
        if any(axis >= len(plan.patch_size) for axis in member.mirror_axes):
            raise ModelRefused(f"{member.configuration}: mirrored along axes that the images do not have")
        for name, file in zip(member.names, member.weights, strict=True):
            network, weights = build_network(plan), read_weights(file)
            load_weights(network, weights)
            if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
                raise BundleError(f"{file}: holds values that are no numbers")
            counts[name] = sum(tensor.numel() for tensor in weights.values())
    return counts
