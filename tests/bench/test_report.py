"""The tables, from one JSON."""

import copy
import re
from typing import Any

import pytest

from node.bench.report import complaints, markdown, rows, text


def spent(middle: float, high: float) -> dict[str, Any]:
    return {"values": [middle, high], "median": middle, "p95": high}


DOCUMENT: dict[str, Any] = {
    "machine": {
        "cpu": "Some CPU",
        "cores": 2,
        "memory_bytes": 24 << 30,
        "gpu": None,
        "load_1_min_at_start": 0.1,
        "system": "Linux 6",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "openvino": None},
    },
    "subject": {
        "bundle": {"name": "cspine-starter", "version": "0.1.0", "digest": "0" * 64},
        "members": ["2d fold 0"],
        "mirroring": False,
        "device": "cpu",
        "repetitions": 10,
        "volume": {"source": "generated neck, seed 1", "shape": [15, 512, 512], "spacing_mm": [3.3, 0.43, 0.43]},
    },
    "r1": {
        "ratio": 0.08123,
        "official": {
            "seconds": spent(65.0, 66.0),
            "steps_s": {"predict 2d": spent(65.0, 66.0)},
            "cpu_s": spent(90.0, 91.0),
            "peak_host_bytes": 2048 << 20,
            "peak_device_bytes": None,
        },
        "engine": {
            "seconds": spent(5.28, 5.4),
            "stages_s": {"network": spent(5.0, 5.1)},
            "cpu_s": spent(9.0, 9.1),
            "non_network_cpu_s": spent(0.5, 0.6),
            "start_s": 7.04,
            "peak_host_bytes": 700 << 20,
            "peak_device_bytes": None,
        },
        "agreement": {
            "fast": {"differing_ppm": 1.5, "dice": {"vertebral_body": 0.999999, "intervertebral_disc": None}},
            "reference": {"differing_ppm": 0.0, "dice": {"vertebral_body": 1.0, "intervertebral_disc": None}},
        },
    },
    "r2": {
        "ratio": 1.4,
        "ratios": spent(1.4, 1.5),
        "seconds": spent(7.0, 7.5),
        "network_s": spent(5.0, 5.1),
        "stages_s": {"volume": spent(0.1, 0.1)},
        "archive": "Orthanc",
        "watched_by": "Orthanc's own count",
        "quiet_s": 0.0,
    },
    "r3": {
        "members": [
            {
                "configuration": "2d",
                "parameters": 46_300_000,
                "flops_a_forward": 119_200_000_000,
                "tiles": 15,
                "mirrors": 4,
                "folds": 1,
            }
        ],
        "flops": 7_152_000_000_000,
        "network_s": spent(5.0, 5.1),
        "achieved_gflop_per_s": 1430.4,
        "peak_gflop_per_s": None,
        "roofline_s": None,
        "ratio": None,
    },
    "memory": {"cases": 200, "resident_bytes_warm": 600 << 20, "growth_bytes": 3 << 19},
}


def test_each_figure_has_a_row_with_its_unit() -> None:
    table = dict(rows(DOCUMENT))
    assert table["R1 warm engine / nnU-Net's commands"] == "0.081"
    assert table["nnU-Net's commands"] == "65.000 s, p95 66.000 s"
    assert table["CPU time, engine without the networks"] == "0.500 s, p95 0.600 s"
    assert table["peak host memory, commands"] == "2048 MiB"
    assert table["mode fast: voxels that differ"] == (
        "1.5 per million; Dice vertebral_body 0.999999, intervertebral_disc -"
    )
    assert table["R2 end to end / networks alone"] == "1.40, p95 1.50"
    assert table["archive"] == "Orthanc; Orthanc's own count; quiet_s = 0"
    assert table["achieved"] == "1430 GFLOP/s"
    assert table["- 2d"] == "46.3 M parameters, 119 GFLOP a forward, 15 tiles x 4 mirrors x 1 folds"
    assert table["growth over 200 cases"] == "+1.5 MiB"


def test_on_a_cpu_no_roofline_is_claimed() -> None:
    assert not [name for name, _ in rows(DOCUMENT) if "roofline" in name or "device memory" in name]


def test_on_a_gpu_the_roofline_and_its_memory_have_rows() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["r3"].update(peak_gflop_per_s=790_000.0, roofline_s=0.0132, ratio=1.8)
    document["r1"]["engine"]["peak_device_bytes"] = 3 << 30
    table = dict(rows(document))
    assert table["R3 networks / roofline"] == "1.80"
    assert table["roofline"] == "0.0132 s at 790 TFLOP/s"
    assert table["peak device memory, engine"] == "3072 MiB"


def test_markdown_says_what_was_measured_on_which_machine() -> None:
    lines = markdown(DOCUMENT).splitlines()
    assert lines[0] == "### cspine-starter 0.1.0, 2d fold 0, without mirrors, CPU, 15 x 512 x 512 voxels"
    assert lines[2] == (
        "Some CPU, 2 cores, 24 GiB, no GPU; python 3.11.7, torch 2.13.0; "
        "generated neck, seed 1, 3.3 x 0.43 x 0.43 mm, 10 repetitions."
    )
    assert lines[4:6] == ["| figure | value |", "|---|---|"]
    assert all(re.fullmatch(r"\| [^|]+ \| [^|]+ \|", line) for line in lines[6:])
    assert len(lines) == 6 + len(rows(DOCUMENT))


@pytest.mark.parametrize("part", ["r1", "r2", "r3", "memory"])
def test_a_part_that_was_not_asked_for_has_no_rows(part: str) -> None:
    without = {name: value for name, value in DOCUMENT.items() if name != part}
    assert 0 < len(rows(without)) < len(rows(DOCUMENT))
    assert len(text(without).splitlines()) == 2 + len(rows(without))


def test_a_reference_that_differs_is_complained_of() -> None:
    assert complaints(DOCUMENT) == []
    document = copy.deepcopy(DOCUMENT)
    document["r1"]["agreement"]["reference"]["differing_ppm"] = 0.25
    assert complaints(document) == ["mode reference differs from nnU-Net's commands in 0.25 voxels per million"]
