"""The library: one folder of bundles, found and removed by name."""

from pathlib import Path

import pytest

from node.bootstrap.engine import open_bundle
from node.errors import BundleError, BundleTampered
from node.segment.bundle import load_bundle, seal
from node.segment.models.library import Library
from node.settings import ModelSettings, load_settings


def bundle(folder: Path, name: str = "neck") -> Path:
    (folder / "2d").mkdir(parents=True)
    for file in ("plans.json", "dataset.json", "fold_0.safetensors"):
        (folder / "2d" / file).write_bytes(b"{}")
    seal(
        folder,
        {
            "name": name,
            "version": "1",
            "intended_use": "For tests.",
            "orientation": "RSP",
            "labels": {"1": "vertebral_body"},
            "members": [{"configuration": "2d", "folder": "2d", "folds": ["0"], "mirror_axes": []}],
        },
    )
    return folder


def settings(folder: Path, model: str) -> ModelSettings:
    path = folder / "node.toml"
    path.write_text(f'[node]\nstate_dir = "state"\n[model]\n{model}\n')
    return load_settings(path).model


def test_bundles_are_listed_by_name_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("two", "one", ".half.part"):
        bundle(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert Library(folder=tmp_path).names() == ["one", "two"]
    assert Library(folder=tmp_path / "absent").names() == []


def test_a_bundle_is_found_by_its_name(tmp_path: Path) -> None:
    bundle(tmp_path / "neck")
    assert Library(folder=tmp_path).find("neck") == tmp_path / "neck"
    with pytest.raises(BundleError, match="no bundle is named 'other'"):
        Library(folder=tmp_path).find("other")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../neck", "a/b", "/etc", ".neck", "starter", "a b", "a" * 65, "n\n", "é"]
)
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, name: str) -> None:
    bundle(tmp_path / "models" / "neck")
    library = Library(folder=tmp_path / "models")
    for do in (library.place, library.find, library.remove):
        with pytest.raises(BundleError, match="not the name of a bundle"):
            do(name)


def test_a_removed_bundle_is_gone_whole(tmp_path: Path) -> None:
    bundle(tmp_path / "neck")
    bundle(tmp_path / ".neck.removed")
    Library(folder=tmp_path).remove("neck")
    assert list(tmp_path.iterdir()) == []


def test_removing_a_link_leaves_what_it_points_at(tmp_path: Path) -> None:
    bundle(tmp_path / "elsewhere")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "neck").symlink_to(tmp_path / "elsewhere")
    Library(folder=tmp_path / "models").remove("neck")
    assert Library(folder=tmp_path / "models").names() == []
    assert load_bundle(tmp_path / "elsewhere").name == "neck"


def test_a_bare_name_in_the_settings_is_one_of_the_library(tmp_path: Path) -> None:
    bundle(tmp_path / "state" / "models" / "neck", "imported")
    bundle(tmp_path / "neck", "beside")
    assert open_bundle(settings(tmp_path, 'bundle = "neck"')).name == "imported"


def test_a_bare_name_may_still_be_a_folder_beside_the_settings(tmp_path: Path) -> None:
    bundle(tmp_path / "neck", "beside")
    assert open_bundle(settings(tmp_path, 'bundle = "neck"')).name == "beside"


@pytest.mark.parametrize("path", ["./neck", "sub/../neck", "{}/neck"])
def test_a_path_in_the_settings_is_a_path(tmp_path: Path, path: str) -> None:
    bundle(tmp_path / "state" / "models" / "neck", "imported")
    bundle(tmp_path / "neck", "beside")
    (tmp_path / "sub").mkdir()
    assert open_bundle(settings(tmp_path, f'bundle = "{path.format(tmp_path)}"')).name == "beside"


def test_starter_is_the_bundle_that_ships_with_the_node(tmp_path: Path) -> None:
    bundle(tmp_path / "starter", "beside")
    assert open_bundle(settings(tmp_path, 'bundle = "starter"')).name == "cspine-starter"


def test_the_digest_of_the_settings_must_be_that_of_the_bundle(tmp_path: Path) -> None:
    digest = load_bundle(bundle(tmp_path / "neck")).digest
    assert open_bundle(settings(tmp_path, f'bundle = "./neck"\ndigest = "{digest}"')).digest == digest
    other = "0" * 64
    with pytest.raises(BundleTampered) as caught:
        open_bundle(settings(tmp_path, f'bundle = "./neck"\ndigest = "{other}"'))
    assert digest in str(caught.value)
    assert other in str(caught.value)
