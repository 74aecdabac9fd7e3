"""One network's forward pass: torch on its device, or OpenVINO on the CPU.

OpenVINO computes in float32 here; its answer differs from torch's by rounding, as one build of torch differs from the
next. It is converted through OpenVINO's own frontend. OpenVINO tells its makers of every import and conversion unless
the package that does so is missing, so here it always is.
"""

import importlib.util
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from node.segment.nnunet.windows import Forward

_HALVED = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def has_openvino() -> bool:
    """Tell whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def torch_forward(network: nn.Module, device: torch.device) -> Forward:
    """Return the forward pass in torch. On CUDA under autocast, as nnU-Net runs it.

    The convolutions' weights then lie in float16: autocast would cast them for every tile.
    """
    network = network.to(device)
    if device.type == "cuda":
        for module in network.modules():
            if isinstance(module, _HALVED):
                module.half()

    @torch.inference_mode()
    def forward(tiles: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            answer: torch.Tensor = network(tiles)
            return answer

    return forward


def openvino_forward(network: nn.Module, patch: Sequence[int], threads: int) -> Forward:
    """Return the forward pass of a network that sees tiles of `patch`, compiled for this CPU, one tile at a time."""
    compiled = _compiled(network, patch, threads)
    request = compiled.create_infer_request()
    output = compiled.output(0)

    def forward(tiles: torch.Tensor) -> torch.Tensor:
        return torch.stack([_answer(request, output, tile) for tile in tiles])

    return forward


def _answer(request: Any, output: Any, tile: torch.Tensor) -> torch.Tensor:
    request.infer([tile[None].contiguous().numpy()], share_inputs=True)
    return torch.from_numpy(request.get_tensor(output).data[0].copy())


def _compiled(network: nn.Module, patch: Sequence[int], threads: int) -> Any:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # "not installed" to an import
    from openvino import Core, PartialShape  # noqa: PLC0415 - not everywhere installed
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    example = torch.zeros((1, 1, *patch))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the network's own checks of its input's shape are traced as constants
        traced = torch.jit.freeze(torch.jit.trace(network.eval(), example, check_trace=False))  # type: ignore[no-untyped-call]
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # must outlive the conversion
    model = frontend.convert(frontend.load(decoder))
    model.reshape(PartialShape([1, 1, *patch]))
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        hints["INFERENCE_NUM_THREADS"] = threads
    return Core().compile_model(model, "CPU", hints)
