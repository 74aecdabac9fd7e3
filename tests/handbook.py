"""The commands of docs/administrator.md, run as they stand there, on folders of a test.

In the place of sudo and systemctl on a machine: a sudo that changes no user, but says in AS which it would be, and
looks for commands where the one of RHEL does; and a systemctl that notes what it is asked for.
"""

import os
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

_DOCUMENT = Path(__file__).parents[1] / "docs" / "administrator.md"
#: The `secure_path` of RHEL has no folder below /usr/local.
_SUDO = """#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
AS=root
if [ "$1" = -u ]; then AS=$2; shift 2; fi
exec env AS="$AS" PATH="$here/bin:$here/usr/bin:/sbin:/bin:/usr/sbin:/usr/bin" "$@"
"""
_SYSTEMCTL = '#!/bin/sh\necho "$@" >>"$(dirname "$0")/systemctl.log"\n'


def commands(after: str) -> str:
    """Return the first block of commands behind some words of the document."""
    _, _, rest = _DOCUMENT.read_text(encoding="utf-8").partition(after)
    assert rest, after
    _, _, begun = rest.partition("\n\n    ")
    return textwrap.dedent("    " + begun.partition("\n\n")[0])


def run(script: str, folder: Path, places: Mapping[str, object], **environment: str) -> list[str]:
    """Run commands with other places than those that they name; return what systemctl was asked for."""
    for name, stub in (("sudo", _SUDO), ("systemctl", _SYSTEMCTL)):
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(stub)
        path.chmod(0o755)
    for documented, place in places.items():
        assert documented in script
        script = script.replace(documented, str(place))
    path = os.pathsep.join([*(str(folder / name) for name in ("bin", "usr/bin", "usr/local/bin")), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e", "-c", script], env={**os.environ, **environment, "PATH": path}, capture_output=True, text=True,
        check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = folder / "bin" / "systemctl.log"
    return log.read_text().splitlines() if log.exists() else []


def older_release(folder: Path, state_dir: Path) -> dict[str, Path]:
    """Lay what release 0.1.0 and the upgrade from it have left below `folder`; return where it lies instead."""
    release, settings, units = folder / "opt" / "cspine-node-0.1.0", folder / "etc", folder / "units"
    for path in (release / "systemd", settings, units):
        path.mkdir(parents=True)
    for name in ("cspine-node-receiver.service", "cspine-node.target"):
        (release / "systemd" / name).write_text("of 0.1.0")
        (units / name).write_text("of 0.2.0")
    (settings / "cspine-node-0.1.0.toml").write_text("of 0.1.0")
    (settings / "cspine-node.toml").write_text("of 0.2.0")
    return {
        "/var/lib/cspine-node": state_dir,
        "/opt/cspine-node": folder / "opt" / "cspine-node",
        "/etc/cspine-node": settings,
        "/etc/systemd/system": units,
    }
