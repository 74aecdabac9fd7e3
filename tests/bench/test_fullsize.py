"""The planner's networks: as large as nnU-Net makes them, and with as much to do."""

import json
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

from node.bench.arithmetic import shape_after_crop
from node.bench.fullsize import MIRROR_AXES, PATCH, SHAPE, SPACING_MM, dataset, plans
from node.errors import SettingsError
from node.segment.bundle import STARTER, Member, load_bundle
from node.segment.nnunet.network import read_plan
from node.segment.nnunet.roofline import count_tiles, describe_device, member_work
from node.segment.nnunet.seeded import write_seeded_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plans.json").write_text(json.dumps(plans()))
    (tmp_path / "dataset.json").write_text(json.dumps(dataset()))
    return tmp_path


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_strides_and_kernels_are_those_that_the_planner_derives(configuration: str) -> None:
    patch = PATCH[configuration]
    _, strides, kernels, planned, _ = get_pool_and_conv_props(SPACING_MM[-len(patch) :], patch, 4, 999_999)
    said = plans()["configurations"][configuration]["architecture"]["arch_kwargs"]
    assert tuple(map(tuple, said["strides"])) == strides
    assert tuple(map(tuple, said["kernel_sizes"])) == kernels
    assert tuple(int(size) for size in planned) == patch


@pytest.mark.parametrize(
    ("configuration", "parameters", "gflop", "tiles", "mirrors"),
    [("2d", 46_326_581, 119.2, 15, 4), ("3d_fullres", 44_250_802, 1081.9, 8, 8)],
)
def test_the_networks_have_the_size_and_the_work_of_the_planner(
    folder: Path, configuration: str, parameters: int, gflop: float, tiles: int, mirrors: int
) -> None:
    member = Member(configuration=configuration, folder=folder, folds=("0",), mirror_axes=MIRROR_AXES[configuration])
    work = member_work(member, SHAPE, SPACING_MM, folds=1, mirroring=True)
    assert work.parameters == parameters
    assert work.flops_a_forward / 1e9 == pytest.approx(gflop, abs=0.1)
    assert (work.tiles, work.mirrors, work.folds) == (tiles, mirrors, 1)
    assert member_work(member, SHAPE, SPACING_MM, folds=5, mirroring=False).flops == 5 * tiles * work.flops_a_forward


@pytest.mark.parametrize(
    ("configuration", "shape", "spacing_mm", "tiles"),
    [
        ("2d", (15, 512, 512), (3.3, 0.43, 0.43), 15),
        ("2d", (9, 256, 256), (5.0, 0.86, 0.86), 9),
        ("3d_fullres", (12, 384, 384), (3.3, 0.43, 0.43), 1),
        ("3d_fullres", (6, 100, 100), (3.3, 0.43, 0.43), 1),
        ("3d_fullres", (15, 512, 512), (3.3, 0.43, 0.43), 8),
    ],
)
def test_tiles_are_counted_on_the_network_grid(
    folder: Path, configuration: str, shape: tuple[int, ...], spacing_mm: tuple[float, ...], tiles: int
) -> None:
    assert count_tiles(read_plan(folder, configuration), shape, spacing_mm) == tiles


def test_the_box_of_the_crop_is_that_of_all_voxels_that_are_not_zero() -> None:
    voxels = np.zeros((5, 6, 7))
    voxels[1, 2, 3] = voxels[3, 2, 6] = 1.0
    assert shape_after_crop(voxels) == (3, 1, 4)
    assert shape_after_crop(np.zeros((2, 2, 2))) == (0, 0, 0)


def test_weights_drawn_from_a_seed_are_the_same_each_time_and_differ_by_fold(tmp_path: Path) -> None:
    starter = load_bundle(STARTER).members[0]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file in ("plans.json", "dataset.json"):
            (tmp_path / name / file).write_bytes((starter.folder / file).read_bytes())
        write_seeded_weights(tmp_path / name, starter.configuration, 2)
    first, second = (
        [(tmp_path / name / f"fold_{fold}.safetensors").read_bytes() for fold in range(2)] for name in ("one", "two")
    )
    assert first == second
    assert first[0] != first[1]


def test_the_cpu_is_a_device_without_a_gpu() -> None:
    device = describe_device("cpu")
    assert (device.kind, device.index, device.gpu) == ("cpu", 0, None)


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cuda:"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(SettingsError, match=f"{device} is not at hand"):
        describe_device(device)
