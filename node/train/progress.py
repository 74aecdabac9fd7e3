"""How far a member has come: everything that a training needs to go on after its process was killed."""

import copy
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from node.durable import write_durably
from node.errors import InputError
from node.train.curve import Look
from node.train.plans import Json


@dataclass(slots=True, kw_only=True, eq=False)
class Progress:
    """The state of a training between two steps."""

    network: nn.Module
    mean: nn.Module  #: exponential mean of the weights
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    step: int = 0
    minutes: float = 0.0  #: spent so far, over all runs
    loss: float = 0.0  #: running mean
    seeds: list[int] = field(default_factory=list)  #: the cases that are trained on
    looks: list[Look] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The validation Dice of the snapshot that is kept; -1 before the first."""
        return max((look.dice for look in self.looks), default=-1.0)

    @classmethod
    def begin(cls, network: nn.Module, learning_rate: float, seed: int) -> "Progress":
        """Return the state before the first step."""
        return cls(
            network=network,
            mean=copy.deepcopy(network).requires_grad_(requires_grad=False),
            optimizer=torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4),
            rng=np.random.default_rng(seed),
        )

    def save(self, path: Path, identity: Json) -> None:
        """Write the state to `path`, whole or not at all. `identity` says which training it belongs to."""
        content = {
            "identity": json.dumps(identity, sort_keys=True),
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "numbers": json.dumps(
                {
                    "rng": self.rng.bit_generator.state,
                    "step": self.step,
                    "minutes": self.minutes,
                    "loss": self.loss,
                    "seeds": self.seeds,
                    "looks": [asdict(look) for look in self.looks],
                }
            ),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_durably(path, [buffer.getbuffer()])

    def load(self, path: Path, identity: Json) -> None:
        """Take the state from `path`. Raises InputError when it is that of another training."""
        device = next(self.network.parameters()).device
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        begun = json.loads(content["identity"])
        if begun != json.loads(json.dumps(identity)):
            names = sorted(name for name in {*begun, *identity} if begun.get(name) != identity.get(name))
            raise InputError(f"{path}: was begun with another {', '.join(names)}; take another --out, or --no-resume")
        self.network.load_state_dict(content["network"])
        self.mean.load_state_dict(content["mean"])
        self.optimizer.load_state_dict(content["optimizer"])
        numbers = json.loads(content["numbers"])
        self.rng.bit_generator.state = numbers["rng"]
        self.step, self.minutes, self.loss = numbers["step"], numbers["minutes"], numbers["loss"]
        self.seeds = numbers["seeds"]
        self.looks = [Look(**look) for look in numbers["looks"]]
