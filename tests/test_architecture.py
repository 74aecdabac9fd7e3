"""The house plan, held against the code."""

import subprocess
from pathlib import Path

import pytest
from peers import program

ROOT = Path(__file__).parents[1]


def test_imports_run_one_way_only() -> None:
    linter = program("lint-imports")
    assert linter is not None
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_broken_contract_is_noticed(tmp_path: Path) -> None:
    """The control: a domain that imports upward must fail the same check."""
    linter = program("lint-imports")
    assert linter is not None
    for name in ("cli", "domain"):
        (tmp_path / "node" / name).mkdir(parents=True)
    (tmp_path / "node" / "__init__.py").touch()
    (tmp_path / "node" / "cli" / "__init__.py").touch()
    (tmp_path / "node" / "domain" / "__init__.py").write_text("import node.cli\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["node"]\n[[tool.importlinter.contracts]]\nname = "layers"\n'
        'type = "layers"\ncontainers = ["node"]\nlayers = ["cli", "domain"]\n'
    )
    done = subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize("room", ["node", "dicom_sr"])
def test_no_file_of_the_source_is_longer_than_300_lines(room: str) -> None:
    long = {str(path): lines for path in (ROOT / room).rglob("*.py") if (lines := path.read_text().count("\n")) > 300}
    assert long == {}


def test_the_top_level_holds_what_was_asked_for() -> None:
    wanted = {"node", "dicom_sr", "config", "tests", "systemd", "Dockerfile", "pyproject.toml"}
    assert {path.name for path in ROOT.iterdir()} >= wanted
