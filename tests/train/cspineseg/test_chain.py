"""From the download to a node that serves the model: the script in docs/training.md with the real nnU-Net."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pydicom
import pytest
from cspineseg import build

from node.demo.archive import free_port
from node.demo.source import write_series
from node.segment.bundle import load_bundle
from node.train.phantom import generate

pytestmark = pytest.mark.slow

_PAGE = Path(__file__).parents[3] / "docs" / "training.md"


def script() -> str:
    """The one block of shell in the page."""
    (block,) = re.findall(r"```sh\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    return str(block)


def answers(folder: Path) -> dict[str, Any]:
    """What the node has delivered, by modality."""
    files = [path for path in folder.rglob("*.dcm") if path.is_file()]
    return {(read := pydicom.dcmread(path)).Modality: read for path in files}


def test_the_script_of_the_page_trains_packages_and_serves(tmp_path: Path) -> None:
    build(tmp_path / "download", 10, shape=(8, 80, 80), planted=())
    work, port = tmp_path / "work", free_port()
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DOWNLOAD": str(tmp_path / "download"),
        "WORK": str(work),
        "PORT": str(port),
    }
    phantom = generate(11, shape=(8, 96, 96), spacing_mm=(4.0, 1.6, 1.6))
    files = write_series(phantom.image, phantom.grid, tmp_path / "series", name="chain")
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(
            ["bash", "-e", "-c", script()],
            env=environment, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if "listens on" in line), None)
        assert line is not None, (tmp_path / "said.txt").read_text()[-3000:]
        sender = [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(port), *map(str, files)]
        subprocess.run([*sender, "-aec", "CSPINE"], check=True, capture_output=True)
        poll = threading.Event()
        while "SR" not in answers(work / "answers"):
            assert process.poll() is None, (tmp_path / "said.txt").read_text()[-3000:]
            poll.wait(0.5)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()

    bundle = load_bundle(work / "models" / "cspine-small")
    assert [(member.configuration, member.folds) for member in bundle.members] == [
        ("2d", ("0",)),
        ("3d_fullres", ("0",)),
    ]
    assert bundle.orientation == "RSP"
    assert bundle.evaluation["answer"] == "ensemble"
    assert bundle.evaluation["split"]["test"] == 2
    figures = {(row["structure"], row["metric"]) for row in bundle.evaluation["test"]["ensemble"]}
    assert figures >= {("vertebrae", "dice"), ("vertebrae", "slice_mean_dice"), ("macro", "dice"), ("discs", "f1")}
    assert "Split by patient by seed 0" in (bundle.folder / "MODEL_CARD.md").read_text()
    # a test part of which nothing is left unpredicted, and no probabilities left behind
    predicted = sorted(path.name for path in work.glob("predictions/*/ensemble/*.nii.gz"))
    assert predicted == ["cspine_0.nii.gz", "cspine_1.nii.gz"]
    assert not list(work.glob("predictions/*/*/*.npz"))

    refused = subprocess.run(
        [sys.executable, "-m", "node", "train", "package", str(work), "--name", "all", "--models", str(work), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(refused.stdout)["error"]["code"] == "input-error"
    assert "not finished: 2d fold 1, 2d fold 2" in json.loads(refused.stdout)["error"]["message"]
