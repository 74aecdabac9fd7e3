"""The scripts of others that the page ships, and how they are fetched anew: `python -m node.web.vendored`.

They are files of npm packages, unchanged, named with version, licence and SHA-256 in `static/vendor/vendored.toml`. A
new version is a new line there; what comes with another digest is not written.
"""

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from node.errors import SystemFailed

VENDOR = Path(__file__).with_name("static") / "vendor"
LIST = VENDOR / "vendored.toml"


def packages() -> list[dict[str, Any]]:
    """Return what the list says: name, version, licence and file[] with name, path in the package, and sha256."""
    return list(tomllib.loads(LIST.read_text(encoding="utf-8"))["package"])


def differing() -> list[str]:
    """Return the names of files that are not what the list says, and of those that it does not name."""
    known = {file["name"]: file["sha256"] for package in packages() for file in package["file"]}
    found = {path.name: _digest(path.read_bytes()) for path in VENDOR.iterdir() if path != LIST}
    return sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))


def fetch() -> None:
    """Fetch every package by `npm pack` and write its files. Raises SystemFailed for another digest."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemFailed("npm is needed to fetch the packages, and is not installed")
    for package in packages():
        contents = _contents(npm, f"{package['name']}@{package['version']}")
        for file in package["file"]:
            content = contents[file["path"]]
            if _digest(content) != file["sha256"]:
                raise SystemFailed(f"{file['name']} of {package['name']} has the SHA-256 {_digest(content)}")
            (VENDOR / file["name"]).write_bytes(content)


def _contents(npm: str, package: str) -> dict[str, bytes]:
    """Return the files of an npm package by their paths in it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", package, "--pack-destination", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - from our own list
        if done.returncode != 0:
            raise SystemFailed(f"npm pack {package} ended with {done.returncode}")
        [packed] = Path(folder).iterdir()
        with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as archive:
            return {
                member.name: opened.read() for member in archive if (opened := archive.extractfile(member)) is not None
            }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    fetch()
