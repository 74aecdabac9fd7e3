"""The canary: a patient's name that goes through everything, and must be seen in stored objects only."""

from collections.abc import Iterable
from pathlib import Path

from faults.mutations import CANARY

_SEEN = CANARY[:8]
#: Where received bytes and results lie: they hold the name, as they must. Results beside the DICOM objects must not.
_STORED = ("spool", "quarantine")
_RESULT = ".dcm"


def sightings(state_dir: Path, outputs: Iterable[Path | bytes] = ()) -> list[str]:
    """Return where the canary was seen: in file names, in files that are no stored objects, in what processes said."""
    seen = [f"a name below {state_dir.name}" for path in state_dir.rglob("*") if _SEEN.decode() in path.name]
    for path in state_dir.rglob("*"):
        stored = path.suffix == _RESULT or path.relative_to(state_dir).parts[0] in _STORED
        if path.is_file() and not stored and _SEEN in path.read_bytes():
            seen.append(str(path.relative_to(state_dir)))
    for number, output in enumerate(outputs):
        if _SEEN in (output if isinstance(output, bytes) else output.read_bytes()):
            seen.append(f"output {number}" if isinstance(output, bytes) else output.name)
    return seen
