"""Plans of a small network, made of nnU-Net's own: for a CPU, and to try the whole chain.

Spacing, normalisation and resampling stay as planned, so that the preprocessed data are the same. Patch, batch,
features and depth shrink; the name of the plans says to what.
"""

import copy
import math
from collections.abc import Mapping, Sequence

from node.errors import InputError
from node.train.cspineseg.workspace import CONFIGURATIONS, Json

PATCH, FEATURES, MOST_FEATURES, BATCH = 64, 8, 32, 2
#: The lowest stage sees at least so many voxels along each axis that was halved.
_LOWEST = 4
_PER_STAGE = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage", "n_blocks_per_stage")


def small_name(planned: str, patch: int = PATCH) -> str:
    """Return the name of the small plans: patch in voxels, features of the first and the deepest stage, batch.

    >>> small_name("nnUNetPlans")
    'nnUNetPlans_small_p64_f8to32_b2'
    """
    return f"{planned}_small_p{patch}_f{FEATURES}to{MOST_FEATURES}_b{BATCH}"


def small_plans(plans: Mapping[str, object], patch: int = PATCH) -> Json:
    """Return plans with the configurations 2d and 3d_fullres of `plans`, each made small. Raises InputError."""
    small: Json = copy.deepcopy(dict(plans))
    try:
        small["plans_name"] = small_name(small["plans_name"], patch)
        present = small["configurations"]
        small["configurations"] = {name: _small(present[name], patch) for name in CONFIGURATIONS if name in present}
    except (KeyError, TypeError, IndexError) as error:
        raise InputError("the plans are not of the shape that nnU-Net 2.8 writes") from error
    return small


def _small(configuration: Json, most: int) -> Json:
    arguments = configuration["architecture"]["arch_kwargs"]
    planned = [min(size, most) for size in configuration["patch_size"]]
    stages = _depth(planned, arguments["strides"])
    factors = [math.prod(axis) for axis in zip(*arguments["strides"][:stages], strict=True)]
    for name in _PER_STAGE:
        if name in arguments:
            arguments[name] = arguments[name][:stages]
    arguments["n_conv_per_stage_decoder"] = arguments["n_conv_per_stage_decoder"][: stages - 1]
    arguments["features_per_stage"] = [min(FEATURES << stage, MOST_FEATURES) for stage in range(stages)]
    arguments["n_stages"] = stages
    configuration["patch_size"] = [size // factor * factor for size, factor in zip(planned, factors, strict=True)]
    configuration["batch_size"] = BATCH
    return configuration


def _depth(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> int:
    """Return how many stages a patch has room for: at least two."""
    factors = [1] * len(patch)
    stages = 0
    for stride in strides:
        factors = [factor * step for factor, step in zip(factors, stride, strict=True)]
        if any(factor > 1 and size // factor < _LOWEST for size, factor in zip(patch, factors, strict=True)):
            break
        stages += 1
    return max(2, stages)
