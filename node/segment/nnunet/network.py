"""The network of a member, built from its plans; its class comes from an allow-list, since nnU-Net imports whatever
a plans file names.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from node.errors import BundleError
from node.segment.bundle import Member
from node.segment.models.planfile import read_json
from node.segment.models.plans import check_plans
from node.segment.nnunet.checkpoint import read_weights

#: The module that nnU-Net's conversion of plans older than 2.4 names, and where its network lies now.
_MOVED = ("architectures.residual_unet.", "architectures.unet.")
#: What networks raise when the arguments of a plan do not go together.
_UNBUILDABLE = (LookupError, RuntimeError, TypeError, ValueError, AssertionError, ArithmeticError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What nnU-Net's planner and the data set say of one member."""

    name: str
    plans: PlansManager
    configuration: ConfigurationManager
    dataset: Mapping[str, Any]

    @property
    def patch_size(self) -> tuple[int, ...]:
        """Shape of a tile, without channel: two axes for 2d, else three."""
        return tuple(self.configuration.patch_size)

    @property
    def heads(self) -> int:
        """Number of classes, background included."""
        return int(self.plans.get_label_manager(dict(self.dataset)).num_segmentation_heads)


def read_plan(folder: Path, configuration: str) -> Plan:
    """Read plans.json and dataset.json of a trained model. Raises BundleError, ModelRefused."""
    plans, dataset = read_json(folder / "plans.json"), read_json(folder / "dataset.json")
    check_plans(plans, dataset, configuration)
    try:
        manager = PlansManager(plans)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected old nnU-Net plans format")
            planned = manager.get_configuration(configuration)
        return Plan(name=configuration, plans=manager, configuration=planned, dataset=dataset)
    except _UNBUILDABLE as error:
        raise BundleError(f"{folder}: the plans do not describe {configuration}: {type(error).__name__}") from error


def build_network(plan: Plan) -> nn.Module:
    """Return the untrained network of a plan, float32 on the CPU, without deep supervision. Raises BundleError."""
    configuration = plan.configuration
    try:
        network: nn.Module = get_network_from_plans(
            configuration.network_arch_class_name.replace(*_MOVED),
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            input_channels=len(plan.dataset["channel_names"]),
            output_channels=plan.heads,
            allow_init=False,
            deep_supervision=False,
        )
    except _UNBUILDABLE as error:
        raise BundleError(f"the plans describe no network: {type(error).__name__}") from error
    return network.eval()


def own_weights(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return each tensor of a network once, under its first name; nnU-Net's decoder holds the encoder a second time."""
    return {name: tensor.detach() for name, tensor in (*network.named_parameters(), *network.named_buffers())}


def load_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Put the weights of a bundle's fold into a network. Raises BundleError when they are not exactly its own."""
    own = own_weights(network)
    if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
        raise BundleError("plans and weights do not fit")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def load_networks(member: Member, plan: Plan) -> list[nn.Module]:
    """Return the networks of a member's folds. Raises BundleError."""
    networks = []
    for path in member.weights:
        network = build_network(plan)
        load_weights(network, read_weights(path))
        networks.append(network)
    return networks
