"""`[model]`: which bundle segments, and on what."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from node.settings.values import Section

#: Name of the bundle that ships with the node.
STARTER_BUNDLE = "starter"

#: The networks of a large model, on a slow machine, with the self-test.
_LOADING_S = 3600.0

Folds = Annotated[int, Field(strict=True, ge=0)]


class CpuSettings(Section):
    """`[model.cpu]`: takes the place of the same keys of `[model]` where the networks run on the CPU.

    A planner's full-size network needs some 150 s for one fold without mirroring on two cores, and over an hour for
    five folds with it.
    """

    folds: Folds = 1
    mirroring: StrictBool = False
    #: What computes the networks in fast mode; "auto": OpenVINO in 2d where it is installed, else torch.
    backend: Literal["auto", "openvino", "torch"] = "auto"


class ModelSettings(Section):
    """`[model]`."""

    #: "starter" for the bundle that ships with the node, the name of an imported one, or a bundle folder.
    bundle: str = STARTER_BUNDLE
    #: SHA-256 of the one manifest that may be used; empty takes any that is sound.
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    #: "reference" runs nnU-Net's own functions, "fast" the same arithmetic in less time.
    mode: Literal["fast", "reference"] = "fast"
    #: "auto": every CUDA device, or else the CPU.
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")] = "auto"
    #: How many folds of each configuration take part, the first ones; 0: all.
    folds: Folds = 0
    #: Test-time mirroring along the axes the model was trained with.
    mirroring: StrictBool = True
    #: CPU threads of the network; 0 leaves it to torch.
    threads: Annotated[int, Field(strict=True, ge=0)] = 0
    #: A case that takes longer is stopped, its process killed and started anew.
    timeout_s: Annotated[float, Field(strict=True, gt=0)] = 900
    #: At start "fast" is held against "reference" on a phantom; with more voxels per million that differ the node
    #: does not serve.
    tolerance_ppm: Annotated[float, Field(strict=True, ge=0)] = 5
    #: When a device has too little memory even for one tile, the case runs on the CPU.
    cpu_fallback: StrictBool = True
    #: Socket of `cspine-node worker`, which then holds the networks; without it, processes of the node itself do. A
    #: relative path starts at the settings file.
    worker: Path | None = None
    cpu: CpuSettings = CpuSettings()

    @property
    def longest_s(self) -> float:
        """Longest that a sound engine takes for a case: its own limit, that of one before it, and loading anew."""
        return 2 * self.timeout_s + _LOADING_S
