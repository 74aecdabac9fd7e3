"""Models that want to run code: a canary file tells whether any did. None may, on any way in."""

import io
import json
import pickle
import shutil
import struct
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trained import checkpoint, configuration, dataset, network, plans, write_model

from node.errors import BundleError, ModelRefused
from node.segment.models.importing import ImportWishes, import_model
from node.segment.models.verifying import verify_networks
from node.segment.nnunet.checkpoint import read_checkpoint, read_weights
from node.segment.nnunet.network import build_network, load_networks, read_plan

WISHES = ImportWishes(name="neck", orientation="RSP")
FINAL = "nnUNetTrainer__nnUNetPlans__2d/fold_0/checkpoint_final.pth"


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.canary), "w")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def evil_module(tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module on the path that makes the canary when it is imported, and again for each call."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "evil_canary.py").write_text(
        f"import pathlib\npathlib.Path({str(canary)!r}).touch()\n"
        f"def Network(*a, **k):\n    pathlib.Path({str(canary)!r}).touch()\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield "evil_canary"
    sys.modules.pop("evil_canary", None)


def placed(where: str, evil: Evil) -> Any:
    whole = checkpoint(plans(), "2d")
    if where == "top":
        return evil
    if where == "init_args":
        whole["init_args"]["plans"] = {"a": [{"b": ({"c": evil},)}]}
    elif where == "weights":
        whole["network_weights"]["more"] = evil
    elif where == "key":
        whole["logging"] = {"curve": [evil]}
    return whole


def as_zip(content: Any, path: Path) -> None:
    torch.save(content, path)


def as_legacy(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def as_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def as_tar(content: Any, path: Path) -> None:
    """The format of torch 0.1: a tar of pickles."""
    parts = {"sys_info": {}, "pickle": content, "storages": 0, "tensors": 0}
    with tarfile.open(path, "w") as archive:
        for name, part in parts.items():
            data = pickle.dumps(part, protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("write", [as_zip, as_legacy, as_pickle, as_tar])
@pytest.mark.parametrize("where", ["top", "init_args", "weights", "key"])
def test_nothing_in_a_checkpoint_is_called(tmp_path: Path, canary: Path, write: Any, where: str) -> None:
    write_model(tmp_path / "source", "2d")
    file = tmp_path / "source" / FINAL
    write(placed(where, Evil(canary)), file)
    with pytest.raises(BundleError, match="not a checkpoint"):
        read_checkpoint(file)
    with pytest.raises(BundleError, match="not a checkpoint"):
        import_model(tmp_path / "source", tmp_path / "out", WISHES)
    renamed = tmp_path / "source" / "renamed"  # a folder without nnU-Net's name is asked through its checkpoint
    file.parent.parent.rename(renamed)
    with pytest.raises(BundleError, match="not a checkpoint"):
        import_model(renamed, tmp_path / "out", WISHES)
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_the_canary_sings_for_a_careless_loader(tmp_path: Path, canary: Path) -> None:
    as_zip(placed("init_args", Evil(canary)), tmp_path / "checkpoint.pth")
    torch.load(tmp_path / "checkpoint.pth", weights_only=False)["init_args"]["plans"]["a"][0]["b"][0]["c"].close()
    assert canary.exists()


def test_a_pickle_in_the_place_of_a_bundles_weights_is_not_called(tmp_path: Path, canary: Path) -> None:
    write_model(tmp_path / "source", "2d")
    bundle = import_model(tmp_path / "source", tmp_path / "out", WISHES)
    for write in (as_zip, as_legacy, as_pickle, as_tar):
        write(Evil(canary), bundle.members[0].weights[0])
        with pytest.raises(BundleError, match="not a safetensors file"):
            verify_networks(bundle)
    assert not canary.exists()


PLACES = {
    "network": "configurations/2d/architecture/network_class_name",
    "convolution": "configurations/2d/architecture/arch_kwargs/conv_op",
    "norm": "configurations/2d/architecture/arch_kwargs/norm_op",
    "dropout": "configurations/2d/architecture/arch_kwargs/dropout_op",
    "nonlinearity": "configurations/2d/architecture/arch_kwargs/nonlin",
    "preprocessor": "configurations/2d/preprocessor_name",
    "resampling": "configurations/2d/resampling_fn_data",
    "probabilities": "configurations/2d/resampling_fn_probabilities",
    "labels": "label_manager",
    "reader": "image_reader_writer",
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", ["{}.Network", "{}"])
def test_nothing_that_plans_name_is_imported(
    tmp_path: Path, canary: Path, evil_module: str, where: str, name: str
) -> None:
    described = plans()
    inner: Any = described
    *parents, last = PLACES[where].split("/")
    for key in parents:
        inner = inner[key]
    inner[last] = name.format(evil_module)
    folder = write_model(tmp_path / "source", "2d")
    whole = import_model(tmp_path / "source", tmp_path / "sound", WISHES)
    for place in (folder, whole.members[0].folder):
        (place / "plans.json").write_text(json.dumps(described))
    with pytest.raises(ModelRefused, match="not allowed"):
        import_model(tmp_path / "source", tmp_path / "out", WISHES)
    with pytest.raises(ModelRefused, match="not allowed"):
        verify_networks(whole)
    with pytest.raises(ModelRefused, match="not allowed"):
        load_networks(whole.members[0], read_plan(whole.members[0].folder, "2d"))
    assert evil_module not in sys.modules
    assert not canary.exists()


def test_the_trainer_that_a_checkpoint_names_is_not_imported(tmp_path: Path, canary: Path, evil_module: str) -> None:
    changes = {"trainer_name": f"{evil_module}.Network"}
    write_model(tmp_path / "source", "2d", files={"fold_0/checkpoint_final.pth": changes})
    with pytest.raises(ModelRefused, match="trainer"):
        import_model(tmp_path / "source", tmp_path / "out", WISHES)
    assert not canary.exists()


def test_plans_within_a_checkpoint_are_not_read(tmp_path: Path, canary: Path, evil_module: str) -> None:
    """What counts are the plans beside it, which were checked."""
    described = plans()
    described["configurations"]["2d"]["architecture"]["network_class_name"] = f"{evil_module}.Network"
    changes = {"init_args": {"plans": described, "configuration": "2d"}}
    write_model(tmp_path / "source", "2d", files={"fold_0/checkpoint_final.pth": changes})
    verify_networks(import_model(tmp_path / "source", tmp_path / "out", WISHES))
    assert not canary.exists()


def test_a_scalar_of_an_older_numpy_is_read(tmp_path: Path) -> None:
    """numpy before 2.0 wrote another name for the function that makes scalars; older checkpoints have it."""
    write_model(tmp_path / "source", "2d")
    file = tmp_path / "source" / FINAL
    torch.save(checkpoint(plans(), "2d"), file, _use_new_zipfile_serialization=False)
    old = file.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != file.read_bytes()
    file.write_bytes(old)
    assert read_checkpoint(file).trainer == "nnUNetTrainer"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02.", b"{}", bytes(range(256)) * 20])
def test_bytes_that_are_no_model_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(BundleError, match="not a checkpoint"):
        read_checkpoint(file)
    with pytest.raises(BundleError, match="not a safetensors file"):
        read_weights(file)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from([as_zip, as_legacy, as_tar]))
def test_a_damaged_checkpoint_is_read_or_refused_by_name(tmp_path: Path, data: st.DataObject, write: Any) -> None:
    sound = tmp_path / f"{write.__name__}.pth"
    if not sound.exists():
        write({**checkpoint(plans(), "2d"), "network_weights": {"one": torch.zeros(2)}}, sound)
    content = bytearray(sound.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (tmp_path / "damaged.pth").write_bytes(content)
    try:
        read_checkpoint(tmp_path / "damaged.pth")
    except BundleError as error:
        assert "not a checkpoint" in str(error)


def test_a_safetensors_header_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(BundleError, match="not a safetensors file"):
        read_weights(tmp_path / "file")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.sampled_from([None, True, 0, 1, 2, 7, "", "x", [], {}, [1], [[1, 3]], 1.5]))
def test_a_damaged_architecture_is_refused_or_builds_a_network(tmp_path: Path, place: int, value: Any) -> None:
    described = configuration("2d", residual=place % 2 == 0)
    arguments = described["architecture"]["arch_kwargs"]
    arguments[list(arguments)[place % len(arguments)]] = value
    (tmp_path / "plans.json").write_text(json.dumps(plans(**{"2d": described})))
    (tmp_path / "dataset.json").write_text(json.dumps(dataset()))
    try:
        with torch.device("meta"):
            build_network(read_plan(tmp_path, "2d"))
    except BundleError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("features", "complaint"), [(1024, "not those of the network"), (4096, "more than 2000000000")]
)
def test_a_network_larger_than_any_memory_is_never_made(tmp_path: Path, features: int, complaint: str) -> None:
    state = network(plans(), "2d").state_dict()
    described = plans()
    arguments = described["configurations"]["2d"]["architecture"]["arch_kwargs"]
    write_model(tmp_path / "source", "2d", files={"fold_0/checkpoint_final.pth": {"network_weights": state}})
    arguments.update(features_per_stage=[features, features], kernel_sizes=[[15, 15], [15, 15]])
    (tmp_path / "source" / FINAL).parent.parent.joinpath("plans.json").write_text(json.dumps(described))
    with pytest.raises(ModelRefused, match=complaint):
        import_model(tmp_path / "source", tmp_path / "out", WISHES)


def test_json_nested_without_end_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "source", "2d")
    shutil.rmtree(folder / "fold_0" / "validation", ignore_errors=True)
    for name in ("plans.json", "dataset.json"):
        sound = (folder / name).read_bytes()
        (folder / name).write_text("[" * 200_000 + "]" * 200_000)
        with pytest.raises(BundleError, match="not JSON"):
            import_model(tmp_path / "source", tmp_path / "out", WISHES)
        (folder / name).write_bytes(sound)
