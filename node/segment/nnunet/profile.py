"""What of a bundle runs, and on what: settings and machine in, a decided profile out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from node.domain.anatomy import StructureKind
from node.errors import BundleError, SettingsError
from node.segment.bundle import Bundle, Member
from node.segment.nnunet.fast import Fast, FastMember, check_supported
from node.segment.nnunet.forwards import has_openvino, openvino_forward, torch_forward
from node.segment.nnunet.network import Plan, load_networks, read_plan
from node.segment.nnunet.reference import Reference, ReferenceMember
from node.segment.nnunet.windows import Forward, Window
from node.settings import ModelSettings

#: Tiles given to a CUDA device at a time, to begin with; halved when its memory ends.
_CUDA_BATCH = {2: 64, 3: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A decided way to run: the members with the folds that take part, mirroring, device, what computes."""

    members: tuple[Member, ...]
    mirroring: bool
    device: torch.device
    #: "torch", "openvino", or "openvino-2d": OpenVINO for 2d members, torch for the others.
    backend: str
    threads: int

    @property
    def names(self) -> tuple[str, ...]:
        """The members that run, one line a fold."""
        return tuple(name for member in self.members for name in member.names)

    def with_backend(self, backend: str) -> "Profile":
        """Return the same with another backend."""
        return replace(self, backend=backend)


def decide(bundle: Bundle, settings: ModelSettings, device: str) -> Profile:
    """Return the profile of `device`: "auto", "cpu", "cuda" or "cuda:N". Raises SettingsError for one not at hand."""
    chosen = _resolve(device)
    on_cpu = chosen.type == "cpu"
    section = settings.cpu if on_cpu else settings
    return Profile(
        members=tuple(member.with_folds(section.folds) for member in bundle.members),
        mirroring=section.mirroring,
        device=chosen,
        backend=backends(settings)[0] if on_cpu and settings.mode == "fast" else "torch",
        threads=settings.threads,
    )


def backends(settings: ModelSettings) -> list[str]:
    """Return what may compute the networks on the CPU in fast mode, the wanted one first. Raises SettingsError.

    OpenVINO is about twice as fast. In 2d it is as exact as torch; in 3d its logits are off by up to 1e-3, thirty times
    as much as torch's, so that "auto" leaves 3d to torch.
    """
    if settings.cpu.backend == "auto":
        return ["openvino-2d", "torch"] if has_openvino() else ["torch"]
    if settings.cpu.backend == "openvino" and not has_openvino():
        raise SettingsError('model.cpu.backend: OpenVINO is not installed (pip install "cspine-node[openvino]")')
    return [settings.cpu.backend]


def load_reference(profile: Profile) -> Reference:
    """Load the profile's networks behind nnU-Net's own functions. Raises BundleError."""
    return Reference(
        [
            ReferenceMember(
                plan=plan,
                names=member.names,
                networks=load_networks(member, plan),
                mirror_axes=_axes(profile, member),
            )
            for member, plan in _plans(profile)
        ],
        profile.device,
    )


def check_labels(profile: Profile, labels: Mapping[int, StructureKind]) -> None:
    """Raises BundleError when the bundle gives a meaning to a class that its networks do not have."""
    for member, plan in _plans(profile):
        if max(labels) >= plan.heads:
            raise BundleError(f"{member.configuration} tells {plan.heads - 1} classes apart, none is {max(labels)}")


def check_fast(profile: Profile) -> None:
    """Raises ModelRefused when the plans ask for something that only reference mode does."""
    for _, plan in _plans(profile):
        check_supported(plan)


def load_fast(profile: Profile) -> Fast:
    """Load the profile's networks, resident on its device. Raises BundleError."""
    return Fast([_fast_member(profile, member, plan) for member, plan in _plans(profile)], profile.device)


def _plans(profile: Profile) -> list[tuple[Member, Plan]]:
    return [(member, read_plan(member.folder, member.configuration)) for member in profile.members]


def _axes(profile: Profile, member: Member) -> tuple[int, ...]:
    return member.mirror_axes if profile.mirroring else ()


def _fast_member(profile: Profile, member: Member, plan: Plan) -> FastMember:
    on_cpu = profile.device.type == "cpu"
    return FastMember(
        plan=plan,
        names=member.names,
        window=Window(patch=plan.patch_size, heads=plan.heads, mirror_axes=_axes(profile, member)),
        forwards=[_forward(profile, network, plan.patch_size) for network in load_networks(member, plan)],
        batch=1 if on_cpu else _CUDA_BATCH[len(plan.patch_size)],
    )


def _forward(profile: Profile, network: nn.Module, patch: Sequence[int]) -> Forward:
    if profile.backend == "openvino" or (profile.backend == "openvino-2d" and len(patch) == 2):
        return openvino_forward(network, patch, profile.threads)
    return torch_forward(network, profile.device)


def _resolve(device: str) -> torch.device:
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = torch.device("cuda" if device == "auto" else device).index or 0
    if index >= torch.cuda.device_count():
        raise SettingsError(f"model.device: {device} is not at hand, CUDA devices here: {torch.cuda.device_count()}")
    return torch.device("cuda", index)
