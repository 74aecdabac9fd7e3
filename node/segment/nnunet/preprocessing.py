"""From an image to the grid of a network: crop to what is not zero, normalise, resample; on the device.

Source: nnunetv2 2.8, `preprocessing/preprocessors/default_preprocessor.py` (`run_case_npy`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
from nnunetv2.preprocessing.normalization import default_normalization_schemes
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
from numpy.typing import NDArray

from node.segment.layers import Box
from node.segment.nnunet.answer import Image
from node.segment.nnunet.network import Plan
from node.segment.nnunet.resampling import Shape, Spacing, Way, pick, resize, way


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Where an image, its axes in the order of the plans, is not zero."""

    box: Box
    #: Shape of the box, and of the whole.
    shape: Shape
    whole: Shape
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """What a network takes: (slices, rows, columns) float32 on its own grid, and the way back."""

    voxels: torch.Tensor
    crop: Crop
    spacing_mm: tuple[float, float, float]


def crop(image: Image, plan: Plan) -> Crop:
    """Return the smallest box around the voxels that are not zero."""
    order = plan.plans.transpose_forward
    nonzero = image.voxels.transpose(order) != 0
    used = [np.flatnonzero(nonzero.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    first, second, third = (slice(int(where[0]), int(where[-1]) + 1) for where in used)
    spacing = [image.spacing_mm[axis] for axis in order]
    return Crop(
        box=(first, second, third),
        shape=(first.stop - first.start, second.stop - second.start, third.stop - third.start),
        whole=(nonzero.shape[0], nonzero.shape[1], nonzero.shape[2]),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
    )


def normalise(image: Image, crop: Crop, plan: Plan) -> NDArray[np.float32]:
    """Return the cropped voxels normalised by nnU-Net's own class, as the plan names it for its one channel.

    The array lies in memory as nnU-Net's does: numpy's sums depend on it in the last digit.
    """
    voxels = image.voxels.copy().transpose(plan.plans.transpose_forward)
    mask = None
    if plan.configuration.use_mask_for_norm[0]:
        mask = crop_to_nonzero(voxels[np.newaxis], None)[1][0]
    scheme = getattr(default_normalization_schemes, plan.configuration.normalization_schemes[0])
    normaliser = scheme(
        use_mask_for_norm=plan.configuration.use_mask_for_norm[0],
        intensityproperties=plan.plans.foreground_intensity_properties_per_channel["0"],
    )
    normalised: NDArray[np.float32] = normaliser.run(voxels[crop.box], mask)
    return normalised


class Preparation:
    """Prepares one image for several members, doing once what they have in common."""

    def __init__(self, image: Image, device: torch.device) -> None:
        self._image = image
        self._device = device
        self._made: dict[Any, Any] = {}

    def ready(self, plan: Plan) -> Ready:
        """Return the image on the grid of a member's network. Raises ValueError where there is no operator for it."""
        order = tuple(plan.plans.transpose_forward)
        box: Crop = self._once(("crop", order), lambda: crop(self._image, plan))
        spacing = target_spacing(plan.configuration.spacing, box.spacing_mm)
        first, second, third = (int(size) for size in compute_new_shape(box.shape, box.spacing_mm, spacing))
        how = way(box.spacing_mm, spacing, plan.configuration.configuration["resampling_fn_data_kwargs"])
        if how is None:
            raise ValueError("the plans resample in a way that has no operator here")
        voxels = self._resampled(plan, box, (first, second, third), how)
        return Ready(voxels=voxels, crop=box, spacing_mm=spacing)

    def _resampled(self, plan: Plan, box: Crop, shape: Shape, how: Way) -> torch.Tensor:
        properties = plan.plans.foreground_intensity_properties_per_channel["0"]
        configuration = plan.configuration
        key = (
            tuple(plan.plans.transpose_forward),
            configuration.normalization_schemes[0],
            configuration.use_mask_for_norm[0],
            tuple(sorted(properties.items())),
        )
        normalised: torch.Tensor = self._once(
            key, lambda: torch.from_numpy(np.ascontiguousarray(normalise(self._image, box, plan))).to(self._device)
        )
        if box.shape == shape:
            return normalised
        within = [*shape]
        if how.through is not None:
            within[how.through] = box.shape[how.through]
        resized: torch.Tensor = self._once((key, *within, how), lambda: resize(normalised, within, how))
        return resized if how.through is None else pick(resized, shape[how.through], how.through)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def target_spacing(planned: Spacing, present: Spacing) -> tuple[float, float, float]:
    """Return the spacing of the network's grid in mm: a 2d configuration leaves the slices where they are."""
    wanted = [present[0], *planned] if len(planned) == 2 else list(planned)
    return wanted[0], wanted[1], wanted[2]
