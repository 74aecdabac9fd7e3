"""The demo's course."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from node.demo.archive import Archive, instances_of_study, running_archive
from node.demo.livenode import running_node
from node.demo.outcome import DemoOutcome
from node.demo.source import files_to_send
from node.errors import DeliveryError, InputError
from node.output import manifest
from node.output.folder import remove_objects

_SECTIONS = "[completeness]\nquiet_s = 2.0\n"
_OPEN_RULES = (
    '[route.accept]\nregion = []\nexclude_description = []\nexclude_image_type = []\nplane = "any"\n'
    'minimum_echo_time_ms = 0\nminimum_repetition_time_ms = 0\nfat_suppression = "any"\nminimum_slices = 2\n'
    "other_region = []\n"
)


def run_demo(out: Path, source: Path | None, step: Callable[[str], None], *, all_series: bool) -> DemoOutcome:
    """Run archive, node and sender, wait for the results in the archive, and copy them to `out`.

    A phantom is kept in `out/phantom`, to be sent to an archive of one's own.
    Raises NothingToSegment when the node refuses the series, with its reasons, and DeliveryError when a peer fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch_name:
        scratch = Path(scratch_name)
        step("preparing the series")
        files = files_to_send(source, scratch / "source" if source else out / "phantom")
        step("starting the archive")
        with running_archive(_emptied(out / "archive")) as archive:
            step("starting the node")
            with running_node(scratch, archive, _SECTIONS, _OPEN_RULES if all_series else "") as node:
                step(f"sending {len(files)} instances over C-STORE")
                node.send(files)
                sent_s = time.monotonic()
                case = node.delivered(step)
                step("asking the archive for the results")
                archived = _archived_results(archive, case["study_uid"], node.sent(case))
                seconds = time.monotonic() - sent_s
        findings, kept = node.findings(case), _keep(node.results(case), out)
    return DemoOutcome(
        archive=archive.name,
        study_uid=case["study_uid"],
        archived=archived,
        findings=findings,
        files=kept,
        overlay=out / "overlay.png",
        seconds=seconds,
    )


def _archived_results(archive: Archive, study_uid: str, sent: frozenset[str]) -> list[Mapping[str, str]]:
    """Return what was sent as the archive lists it. Raises DeliveryError when an object is missing there."""
    listed: list[Mapping[str, str]] = [
        made for made in instances_of_study(archive.peer, study_uid) if made["sop_instance_uid"] in sent
    ]
    if len(listed) != len(sent):
        raise DeliveryError(f"the archive lists {len(listed)} of {len(sent)} results")
    return listed


def _keep(results: Path, out: Path) -> list[Path]:
    """Copy the files of the case, DICOM objects first, in place of those of an earlier demo; not the journal's."""
    kept = (path for path in results.iterdir() if path.name != manifest.NAME)
    files = sorted(kept, key=lambda path: (path.suffix != ".dcm", path.name))
    remove_objects(out, but={path.name for path in files})
    return [Path(shutil.copy2(path, out / path.name)) for path in files]


def _emptied(folder: Path) -> Path:
    """Return `folder` without what an earlier demo left in it. Raises InputError when it is not a demo's."""
    marker = folder / ".cspine-node-demo"
    if folder.exists() and not marker.exists():
        raise InputError(f"{folder} exists and is no archive of an earlier demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()
    return folder
