"""The administrator's guide on a strict machine: umask 027, settings that not everybody reads, the sudo of RHEL."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from handbook import commands, run

ROOT = Path(__file__).parents[1]
#: In the place of a Python: makes a virtual environment of copies of itself, and installs nothing into it.
PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"
    cp "{command}" "$4/bin/cspine-node"
fi
"""
#: In the place of the node's command: notes who runs it, and may read the settings as they may.
COMMAND = """#!/bin/sh
echo "${{AS:-nobody}} $1" >>"{log}"
case "$*" in *{settings}*) [ "${{AS:-}}" ] || {{ echo "the settings cannot be read" >&2; exit 78; }} ;; esac
"""
GIT = """#!/bin/sh
for last; do :; done
mkdir -p "$last"
cp -R "{release}/." "$last"
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, object]:
    """Where what the guide names lies below `tmp_path`: there is a release to be fetched, and nothing installed."""
    release, settings = tmp_path / "release", tmp_path / "etc"
    for folder in ("bin", "usr/bin", "usr/local/bin", "etc", "units", "opt", "release/config"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "systemd", release / "systemd")
    shutil.copy(ROOT / "constraints.txt", release)
    shutil.copy(ROOT / "config" / "setup.sh", release / "config")
    (settings / "cspine-node.toml").write_text("of 0.1.0")
    command = tmp_path / "command"
    stubs = {
        command: COMMAND.format(log=tmp_path / "log", settings=settings),
        tmp_path / "bin" / "python3": PYTHON.format(command=command),
        tmp_path / "bin" / "git": GIT.format(release=release),
        tmp_path / "bin" / "cn": "#!/bin/sh\n",
    }
    for path, text in stubs.items():
        path.write_text(text)
        path.chmod(0o755)
    return {"/opt/cspine-node": tmp_path / "opt" / "cspine-node", "/etc/cspine-node": settings}


def hidden(folder: Path) -> list[str]:
    """Return what the user of the services cannot read, who is neither root nor of its group."""
    wanted = {True: stat.S_IROTH | stat.S_IXOTH, False: stat.S_IROTH}
    return [
        path.name
        for path in (folder, *folder.rglob("*"))
        if path.stat().st_mode & wanted[path.is_dir()] != wanted[path.is_dir()]
    ]


def test_what_is_installed_under_a_strict_umask_is_found_by_sudo_and_read_by_the_services(
    tmp_path: Path, machine: dict[str, object]
) -> None:
    install = commands("### 1. Install").replace("/usr/", f"{tmp_path}/usr/")
    run(f"umask 027\n{install}", tmp_path, {"/opt/cspine-node": machine["/opt/cspine-node"]})
    assert hidden(tmp_path / "opt" / "cspine-node-0.1.0") == []
    settings = {"/etc/cspine-node": machine["/etc/cspine-node"]}
    run(commands("### 3. Write the settings"), tmp_path, settings)
    run(commands("`--services` is for the systemd units below"), tmp_path, settings)
    assert (tmp_path / "log").read_text().split("\n") == [
        *("nobody --version", "root init", "root check-config", "root echo", "")
    ]


def test_an_upgrade_runs_as_it_stands_and_asks_as_the_service_whether_it_takes_the_settings(
    tmp_path: Path, machine: dict[str, object]
) -> None:
    upgrade = commands("A release is a folder, and `/opt/cspine-node` a link to it")
    asked = run(f"umask 027\n{upgrade}", tmp_path, {**machine, "/etc/systemd/system": tmp_path / "units"})
    assert asked == ["stop cspine-node.target", "daemon-reload", "start cspine-node.target"]
    assert hidden(tmp_path / "opt" / "cspine-node-0.2.0") == []
    assert (tmp_path / "opt" / "cspine-node").resolve() == tmp_path / "opt" / "cspine-node-0.2.0"
    assert (tmp_path / "log").read_text() == "cspine-node check-config\n"


def test_who_has_a_python_that_is_too_old_is_told_what_the_guide_types(tmp_path: Path) -> None:
    older = tmp_path / "python3"
    lie = "import sys; sys.version_info, sys.version = (3, 9, 18), '3.9.18 (main)'; exec(sys.stdin.read())"
    older.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{lie}"\n')
    older.chmod(0o755)
    command = ["sh", str(ROOT / "config" / "setup.sh"), str(tmp_path / "venv")]
    done = subprocess.run(command, env={"PYTHON": str(older)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this is 3.9.18" in done.stderr
    assert "env PYTHON=python3.12 sh config/setup.sh" in done.stderr
    assert not (tmp_path / "venv").exists()
