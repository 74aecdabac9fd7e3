"""The measurements themselves, on a volume so small that they end soon. No test here asks how long anything took."""

import tomllib
from pathlib import Path

import pytest

import node.bench.subject
from node.bench.end_to_end import settings
from node.bench.machine import describe_machine, device_used_bytes
from node.bench.run import Options, parse_parts, run_bench
from node.bench.subject import Subject, phantom_volume, read_volume
from node.errors import InputError, SettingsError
from node.segment.bundle import STARTER, load_bundle
from node.settings import parse_settings

SHAPE = (6, 96, 96)
SPACING_MM = (4.0, 1.6, 1.6)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return Subject(
        bundle=load_bundle(STARTER),
        volume=phantom_volume(SHAPE, SPACING_MM, tmp_path / "input"),
        source="phantom",
        kind="cpu",
        index=0,
        folds=1,
        mirroring=True,
        repetitions=1,
        tolerance_ppm=5.0,
        scratch=tmp_path,
        step=lambda _text: None,
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with a volume of 6 x 96 x 96."""
    monkeypatch.setattr(node.bench.subject, "SHAPE", SHAPE)
    monkeypatch.setattr(node.bench.subject, "SPACING_MM", SPACING_MM)


@pytest.mark.parametrize("asked", ["", "r4", "r1,r9"])
def test_a_part_that_does_not_exist_is_named(asked: str) -> None:
    with pytest.raises(SettingsError, match="r1, r2, r3, results, memory"):
        parse_parts(asked)


def test_the_volume_lies_as_the_bundle_wants_it(subject: Subject) -> None:
    assert subject.volume.grid.shape == SHAPE
    voxels, spacing_mm = subject.turned()
    assert voxels.shape == SHAPE
    assert spacing_mm == pytest.approx(SPACING_MM, abs=1e-4)


def test_an_input_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / "nowhere", tmp_path / "scratch")


def test_the_node_is_set_up_as_the_engine_is(subject: Subject) -> None:
    document = tomllib.loads('[node]\nstate_dir = "state"\n' + settings(subject))
    parsed = parse_settings(document, name="bench")
    assert parsed.completeness.quiet_s == 0
    assert parsed.model == subject.model("fast")


def test_the_machine_is_described_with_its_versions() -> None:
    said = describe_machine(None)
    assert said["cpu"]
    assert said["cores"] >= 1
    assert said["memory_bytes"] > 1 << 28
    assert said["versions"].keys() == {"python", "cspine-node", "nnunetv2", "torch", "openvino", "numpy", "scipy"}


def test_without_nvidia_smi_no_device_memory_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert device_used_bytes(0) is None


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_mode_reference_gives_the_voxels_of_the_three_commands() -> None:
    steps: list[str] = []
    options = Options(parts=frozenset({"r1", "r3"}), repetitions=1, device="cpu", mirroring=True)
    document = run_bench(options, steps.append)
    assert document["r1"]["agreement"]["reference"]["differing_ppm"] == 0
    assert list(document["r1"]["official"]["steps_s"]) == ["predict 2d", "predict 3d_fullres", "ensemble"]
    assert document["r1"]["official"]["peak_host_bytes"] > 100 << 20
    assert document["subject"]["members"] == ["2d fold 0", "3d_fullres fold 0"]
    assert [work["mirrors"] for work in document["r3"]["members"]] == [1, 2]
    assert document["r3"]["ratio"] is None
    assert steps


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_series_goes_through_a_live_node_into_the_archive() -> None:
    document = run_bench(Options(parts=frozenset({"r2", "memory"}), repetitions=1, cases=2, device="cpu"), print)
    assert document["r2"]["quiet_s"] == 0
    assert document["r2"]["network_s"]["values"][0] <= document["r2"]["seconds"]["values"][0]
    assert [number for number, _ in document["memory"]["resident_bytes_along"]] == [1, 2]
