"""The software bill of materials (CycloneDX 1.6) of an installation: python config/sbom.py PYTHON OUT

cyclonedx-py lists everything in the environment of PYTHON. Of that this keeps what the node needs to run, so that test
tools and linters of a developer's environment are no part of it, and adds what is no Python package: the model in the
box, and the scripts that browsers load.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PRODUCT = "cspine-node"
#: What an installation has beyond the bare package (config/setup.sh).
EXTRAS = ("openvino", "postgresql")
ROOT = Path(__file__).resolve().parents[1]
STARTER, VENDORED = Path("node/segment/starter"), Path("node/web/static/vendor")


def asked(root: Path) -> list[Requirement]:
    """Return what the source tree asks for: its dependencies, and those of the extras of an installation."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [Requirement(text) for text in [*project["dependencies"], *(t for name in EXTRAS for t in extras[name])]]


def needed(installed: Mapping[str, Distribution], wanted: Iterable[Requirement]) -> set[str]:
    """Return the names of all that is wanted, directly or not, of what is installed."""
    waiting = list(wanted)
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or name not in installed:
            continue
        seen.add((name, extras))
        inner = (Requirement(text) for text in installed[name].requires or ())
        waiting.extend(item for item in inner if _applies(item, extras))
    return {name for name, _ in seen}


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def of_environment(python: str) -> dict[str, Any]:
    """Return the bill of everything in the environment of an interpreter. Raises CalledProcessError."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", python, "--output-reproducible", "--sv", "1.6"]
    command += ["--pyproject", str(ROOT / "pyproject.toml")]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))  # noqa: S603


def kept(bill: dict[str, Any], names: set[str], version: str, others: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the bill with the components of these names, and others, and the dependencies among them."""
    components = [item for item in bill["components"] if canonicalize_name(item["name"]) in names]
    product = {**bill["metadata"]["component"], "version": version}
    known = {product["bom-ref"], *(item["bom-ref"] for item in components)}
    dependencies = [
        {**item, "dependsOn": [ref for ref in item.get("dependsOn", ()) if ref in known]}
        for item in bill["dependencies"]
        if item["ref"] in known
    ]
    return {
        **bill,
        "metadata": {**bill["metadata"], "component": product},
        "components": [*components, *others],
        "dependencies": dependencies,
    }


def beside_python(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the components of a source tree that no Python package tells of."""
    manifest = (root / STARTER / "bundle.json").read_bytes()
    about = json.loads(manifest)
    yield {
        "type": "machine-learning-model",
        "bom-ref": f"model:{about['name']}",
        "name": about["name"],
        "version": about["version"],
        "description": about["intended_use"],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(manifest).hexdigest()}],
    }
    for path in sorted((root / VENDORED).glob("*.js")):
        yield {
            "type": "file",
            "bom-ref": f"file:{path.name}",
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        }


def packages_of(python: str) -> dict[str, Distribution]:
    """Return what is installed for an interpreter, by its normalised name."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    purelib = subprocess.check_output([python, "-c", code], text=True).strip()  # noqa: S603
    return {canonicalize_name(item.name): item for item in distributions(path=[purelib])}


def main(arguments: list[str]) -> None:
    """Write the bill of the interpreter `arguments[0]` to the file `arguments[1]`."""
    python, out = arguments
    installed = packages_of(python)
    names = needed(installed, asked(ROOT))
    bill = kept(of_environment(python), names, installed[PRODUCT].version, beside_python(ROOT))
    Path(out).write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{out}: {len(bill['components'])} components\n")


if __name__ == "__main__":
    main(sys.argv[1:])
