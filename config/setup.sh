#!/bin/sh
# Makes the virtual environment: sh config/setup.sh VENV [--no-tools]      (--no-tools: without tests and linters)
#
# torch decides the size of it. On PyPI, Linux wheels of torch bring several gigabytes of CUDA. Where there is no NVIDIA
# device a CPU build is wanted: pip's own sources are asked first (a mirror or a folder of wheels may offer one), then
# PyTorch's index of CPU builds. torch and torchvision are asked
# for together: nnU-Net needs torchvision, and alone it would pull the newest torch.
# TORCH=cpu or TORCH=cuda says which build is wanted, where the machine that builds is not the one that runs.
set -eu
umask 022 # the services run as a user of their own, who must be able to read it

venv=$1
python=${PYTHON:-python3}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
pinned() { sed -n "s/^$1==//p" constraints.txt; }

"$python" - <<'CHECK'
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"cspine-node needs Python 3.11, 3.12 or 3.13, this is {sys.version.split()[0]}: name another one, "
             "env PYTHON=python3.12 sh config/setup.sh ... or make PYTHON=python3.12 ...")
CHECK
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv" || {
    echo "python -m venv failed; on Debian and Ubuntu it needs the package python3-venv" >&2
    exit 1
}

# From 23.3 on pip can look at a wheel's needs without downloading it.
pip install --quiet --upgrade "pip>=23.3"

torch="torch==$(pinned torch) torchvision==$(pinned torchvision)"

# Says "cuda" when the torch that pip would take needs NVIDIA's packages, else "cpu".
flavour() {
    pip install --quiet --dry-run --ignore-installed --no-deps --report - "$@" "torch==$(pinned torch)" 2>/dev/null |
        "$venv/bin/python" -c '
import json, sys
needs = json.load(sys.stdin)["install"][0]["metadata"].get("requires_dist", [])
print("cuda" if any(need.startswith(("nvidia-", "cuda-")) for need in needs) else "cpu")'
}

have=$("$venv/bin/python" -c "import torch; print(torch.__version__.split('+')[0])" 2>/dev/null || true)
if [ "$have" = "$(pinned torch)" ]; then
    echo "torch $have is there already"
elif [ "${TORCH:-}" = cuda ] || { [ -z "${TORCH:-}" ] && { [ -e /dev/nvidiactl ] || command -v nvidia-smi; } >/dev/null 2>&1; }; then
    echo "NVIDIA device found, or asked for: installing torch with CUDA"
    pip install --quiet $torch
elif [ "$(uname -s)" != Linux ] || [ "$(flavour)" = cpu ]; then
    echo "no NVIDIA device: installing the CPU build of torch"
    pip install --quiet $torch
else
    echo "no NVIDIA device: installing the CPU build of torch from PyTorch's index"
    pip install --quiet --extra-index-url https://download.pytorch.org/whl/cpu $torch
fi
echo "installing cspine-node with exact versions"
extras="[openvino,postgresql,test,lint]"
[ "${2:-}" != --no-tools ] || extras="[openvino,postgresql]"
pip install --quiet --constraint constraints.txt --editable ".$extras"
