"""Starts one of nnU-Net's commands where torchvision may not fit torch.

nnU-Net looks for a trainer by importing all of its trainers, and one of them wants timm, which wants torchvision. A
torchvision of another build than torch (CUDA and CPU, as indexes like to mix them) has no compiled operators and ends
its own import with "operator torchvision::nms does not exist". No network here uses one. So their names are
declared, without an implementation, where they are missing; torchvision can then be imported.

    python -m node.train.cspineseg.launch PROGRAM ARGUMENT ...
"""

import importlib
import runpy
import sys
from typing import Any

import torch

#: The operators that torchvision 0.28 describes whether it has them or not (torchvision/csrc/ops/nms.cpp).
_OPERATORS = ("nms", "qnms")
_ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def main() -> None:
    """Run the Python program in the arguments as itself."""
    declared = declare_missing_operators()  # holds for as long as the object lives
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    del declared


def declare_missing_operators() -> Any:
    """Make torchvision importable where it only lacks its operators; return what declares them, if that was needed."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return None
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        declared: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in _OPERATORS:
            declared.define(f"{name}{_ARGUMENTS}")
        return declared
    return None


if __name__ == "__main__":
    main()
