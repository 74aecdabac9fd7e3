"""Fast mode: nnU-Net's arithmetic with everything resident, batched and on the device.

It averages and rounds where nnU-Net does: folds are a mean of logits in float16 on the network's grid; each member goes
back to the image's grid by itself, rounded to float16; softmax and the mean over members are float32; ties go to the
lowest class. Only voxels near something are brought back at all: where every member is sure of background, the answer
is background.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from node.errors import ModelRefused
from node.segment.layers import Box, Layers
from node.segment.nnunet.answer import Answer, Image
from node.segment.nnunet.network import Plan
from node.segment.nnunet.opinions import carried, opinions, running_maximum
from node.segment.nnunet.preprocessing import Preparation, Ready
from node.segment.nnunet.resampling import FUNCTION, Line, interpolate, line, way
from node.segment.nnunet.stages import Stages
from node.segment.nnunet.windows import Forward, Window, logits

#: How far background must lead, in logits, to be sure: far more than float16 and the members' mean can take away. What
#: is left to all other classes there, 1 / (1 + e) at most, is not told: probabilities are 0 outside the box.
_LEAD = 1.0
_LEAD_PER_LOGIT = 1 / 256


@dataclass(slots=True, kw_only=True, eq=False)
class FastMember:
    """One configuration: its plan, one forward pass a fold, and how many tiles it may be given at a time."""

    plan: Plan
    #: The folds, such as "2d fold 0".
    names: Sequence[str]
    window: Window
    forwards: Sequence[Forward]
    batch: int
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answered:
    """Mean logits of one member, (classes, slices, rows, columns) float16 on its grid, and the lines back.

    `folds`: the classes of each fold, uint8 (slices, rows, columns) on the same grid; empty where there is one fold.
    """

    logits: torch.Tensor
    folds: Sequence[torch.Tensor]
    lines: tuple[Line, Line, Line]
    ready: Ready
    plan: Plan


class Fast:
    """The members of an ensemble, resident on one device."""

    def __init__(self, members: Sequence[FastMember], device: torch.device) -> None:
        self._members = members
        self._device = device
        self.precision = "float16" if device.type == "cuda" else "float32"

    def prepare(self, image: Image, stages: Stages) -> list[Ready]:
        """Crop, normalise and resample for each member."""
        with stages.stage("preprocess"):
            preparation = Preparation(image, self._device)
            return [preparation.ready(member.plan) for member in self._members]

    @torch.inference_mode()
    def answer(self, prepared: Sequence[Ready], stages: Stages) -> Answer:
        """Run the networks and average the members."""
        with stages.stage("windows"):
            answered = [_answered(member, ready, stages) for member, ready in zip(self._members, prepared, strict=True)]
        with stages.stage("combine"):
            layers = _combine(answered)
        return Answer(
            layers=layers,
            opinions=opinions([(member.plan.name, member.names) for member in self._members]),
            fallbacks=tuple(note for member in self._members for note in member.notes),
        )


def check_supported(plan: Plan) -> None:
    """Raises ModelRefused for plans whose resampling has no operator here."""
    settings = plan.configuration.configuration
    data, back = settings["resampling_fn_data_kwargs"], settings["resampling_fn_probabilities_kwargs"]
    functions = {settings["resampling_fn_data"], settings["resampling_fn_probabilities"]}
    plain = not (data.get("order_z", 0) or back.get("order_z", 0) or data.get("is_seg") or back.get("is_seg"))
    if functions != {FUNCTION} or not plain or back.get("order", 3) not in {0, 1}:
        raise ModelRefused('the plans resample in a way that fast mode does not know; set model.mode = "reference"')


def _answered(member: FastMember, ready: Ready, stages: Stages) -> _Answered:
    mean, folds = _mean_over_folds(member, ready, stages)
    crop = ready.crop
    how = way(
        ready.spacing_mm, crop.spacing_mm, member.plan.configuration.configuration["resampling_fn_probabilities_kwargs"]
    )
    if how is None:
        raise ValueError("the plans resample in a way that has no operator here")
    sizes = zip(mean.shape[1:], crop.shape, strict=True)
    first, second, third = (
        line(small, large, 0 if axis == how.through else how.order) for axis, (small, large) in enumerate(sizes)
    )
    return _Answered(logits=mean, folds=folds, lines=(first, second, third), ready=ready, plan=member.plan)


def _mean_over_folds(member: FastMember, ready: Ready, stages: Stages) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
    """Return the mean logits, and the classes of each fold where there are several."""
    total: torch.Tensor | None = None
    folds = []
    for forward in member.forwards:
        found = _with_room(member, forward, ready, stages)
        if len(member.forwards) > 1:
            folds.append(running_maximum(found))
        total = found if total is None else total.add_(found)
    if total is None:
        raise ValueError("a member without folds")
    return total if len(member.forwards) == 1 else total.div_(len(member.forwards)), folds


def _with_room(member: FastMember, forward: Forward, ready: Ready, stages: Stages) -> torch.Tensor:
    """Run one fold; when the device has no room for the batch, halve it, for this case and all that follow."""

    def timed(tiles: torch.Tensor) -> torch.Tensor:
        with stages.stage("network"):
            return forward(tiles)

    while True:
        try:
            return logits(ready.voxels, member.window, timed, member.batch)
        except torch.OutOfMemoryError:
            if member.batch == 1:
                raise
            member.batch //= 2
            member.notes.append(f"out of memory: {member.batch} tiles of {member.plan.name} at a time")
            torch.cuda.empty_cache()


def _combine(answered: Sequence[_Answered]) -> Layers:
    """Return the layers of the answer on the image's grid."""
    first = answered[0]
    slices, rows, columns = (first.ready.crop.whole[axis] for axis in first.plan.plans.transpose_backward)
    box = _union([_reach(member) for member in answered]) or (slice(0, 0),) * 3
    stack = _stack(answered, box).cpu().numpy()
    return Layers(voxels=stack, corner=(box[0].start, box[1].start, box[2].start), whole=(slices, rows, columns))


def _stack(answered: Sequence[_Answered], box: Box) -> torch.Tensor:
    """Return the layers of the answer within `box` of the image, uint8 (layers, slices, rows, columns)."""
    heads = len(answered[0].logits)
    folds = [(member, fold) for member in answered for fold in member.folds]
    compared = len(answered) if len(answered) > 1 else 0
    sizes = [side.stop - side.start for side in box]
    device = answered[0].logits.device
    stack = torch.empty((heads + compared + len(folds), *sizes), dtype=torch.uint8, device=device)
    if not stack.numel():
        return stack
    total: torch.Tensor | None = None
    for number, member in enumerate(answered):
        shares = _shares(member, box)
        if compared:
            stack[heads + number] = running_maximum(shares)
        total = shares if total is None else total.add_(shares)
    if total is not None:
        total.div_(len(answered))
        stack[0] = running_maximum(total)
        stack[1:heads] = total[1:].mul_(255).add_(0.5)  # float to uint8 cuts off what is behind the point
    for number, (member, fold) in enumerate(folds, start=heads + compared):
        whole = carried(fold, member.ready.crop.shape, _within_crop(member, box))
        stack[number] = whole.permute(*member.plan.plans.transpose_backward)
    return stack


def _reach(member: _Answered) -> Box | None:
    """Return the box in the image, (slices, rows, columns), outside of which this member is sure of background."""
    background = member.logits[0].float()
    others = torch.logsumexp(member.logits[1:].float(), dim=0)
    unsure = background - others <= _LEAD + _LEAD_PER_LOGIT * background.abs()
    for fold in member.folds:
        unsure |= fold > 0  # for the comparison alone: the mean may be sure where one fold errs
    active = unsure.cpu().numpy()
    ranges = []
    for axis, (along, crop) in enumerate(zip(member.lines, member.ready.crop.box, strict=True)):
        start, stop = along.reach(np.asarray(active.any(axis=tuple({0, 1, 2} - {axis}))))
        if start == stop:
            return None
        ranges.append(slice(crop.start + start, crop.start + stop))
    first, second, third = (ranges[axis] for axis in member.plan.plans.transpose_backward)
    return first, second, third


def _union(boxes: Sequence[Box | None]) -> Box | None:
    present = [box for box in boxes if box is not None]
    if not present:
        return None
    first, second, third = (
        slice(min(box[axis].start for box in present), max(box[axis].stop for box in present)) for axis in range(3)
    )
    return first, second, third


def _shares(member: _Answered, box: Box) -> torch.Tensor:
    """Return the softmax of a member within `box` of the image, (classes, slices, rows, columns) float32."""
    wanted = _within_crop(member, box)
    parts = [along.part(part.start, part.stop) for along, part in zip(member.lines, wanted, strict=True)]
    found = torch.softmax(interpolate(member.logits, parts).float(), dim=0)
    return found.permute(0, *(axis + 1 for axis in member.plan.plans.transpose_backward))


def _within_crop(member: _Answered, box: Box) -> Sequence[slice]:
    """Return where `box` of the image lies in a member's crop, its axes in the order of the plans."""
    ordered = [box[axis] for axis in member.plan.plans.transpose_forward]
    return [
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(ordered, member.ready.crop.box, strict=True)
    ]
