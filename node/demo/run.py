"""The demo's course."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.deliver.folder import OBJECT_NAMES
from node.deliver.scu import Peer, echo
from node.demo.archive import Archive, free_port, instances_of_study, running_archive
from node.demo.outcome import DemoOutcome
from node.demo.source import files_to_send
from node.errors import DeliveryError, EngineError, InputError, NotDicom, NothingToSegment, PeerUnreachable
from node.journal.overview import overview
from node.journal.store import Store

_READY_S = 120.0
_RESULTS_S = 1800.0
_QUIET_S = 2.0
_AE_TITLE = "CSPINE"
Process = subprocess.Popen[bytes]

_FINAL = frozenset({"rejected", "quarantined", "undelivered"})


def run_demo(out: Path, source: Path | None, step: Callable[[str], None], *, all_series: bool) -> DemoOutcome:
    """Run archive, node and sender, wait for the results in the archive, and copy them to `out`.

    Raises NothingToSegment when the node refuses the series, with its reasons, and DeliveryError when a peer fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch_name:
        scratch = Path(scratch_name)
        step("preparing the series")
        files = files_to_send(source, scratch / "source")
        step("starting the archive")
        with running_archive(_emptied(out / "archive")) as archive:
            step("starting the node")
            with _running_node(scratch, archive, all_series=all_series) as (node, process):
                step(f"sending {len(files)} instances over C-STORE")
                _send(files, node)
                sent_s = time.monotonic()
                case = _wait_for_case(scratch / "state", process, step)
                step("asking the archive for the results")
                archived = _archived_results(archive, case)
                seconds = time.monotonic() - sent_s
        kept = _keep(scratch / "state" / Path(case["objects"][0]["path"]).parent, out)
    return DemoOutcome(
        archive=archive.name,
        study_uid=case["study_uid"],
        archived=archived,
        findings=json.loads((out / "findings.json").read_text()),
        files=kept,
        overlay=out / "overlay.png",
        seconds=seconds,
    )


@contextmanager
def _running_node(scratch: Path, archive: Archive, *, all_series: bool) -> Iterator[tuple[Peer, Process]]:
    """Run `cspine-node serve` in a process of its own. Raises PeerUnreachable when it does not start."""
    port = free_port()
    config = scratch / "cspine-node.toml"
    config.write_text(_config(scratch, port, archive, all_series=all_series))
    command = [sys.executable, "-m", "node", "serve", "--config", str(config), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - this very program
    peer = Peer(host="127.0.0.1", port=port, ae_title=_AE_TITLE, calling_ae_title="CSPINEDEMO", timeout_s=_READY_S)
    try:
        _wait_until_listening(process, peer)
        yield peer, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _wait_until_listening(process: Process, peer: Peer) -> None:
    deadline = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            echo(peer)
        except DeliveryError:
            time.sleep(0.1)
        else:
            return
    raise PeerUnreachable("the node did not start; its log on standard error says why")


def _config(scratch: Path, port: int, archive: Archive, *, all_series: bool) -> str:
    open_rules = (
        '[route.accept]\nregion = []\nexclude_description = []\nexclude_image_type = []\nplane = "any"\n'
        'minimum_echo_time_ms = 0\nminimum_repetition_time_ms = 0\nfat_suppression = "any"\nminimum_slices = 2\n'
        "other_region = []\n"
    )
    return (
        f'[node]\nstate_dir = "{scratch / "state"}"\nae_title = "{_AE_TITLE}"\nport = {port}\n'
        f"[completeness]\nquiet_s = {_QUIET_S}\n"
        '[log]\nlevel = "warning"\n'
        '[[route]]\nname = "demo"\ndestinations = ["archive"]\n'
        f"{open_rules if all_series else ''}"
        f'[[destination]]\nname = "archive"\nhost = "{archive.peer.host}"\nport = {archive.peer.port}\n'
        f'ae_title = "{archive.peer.ae_title}"\nretry_delay_s = 1\n'
    )


def _send(files: list[Path], node: Peer) -> None:
    """Send the files. Raises DeliveryError at the first that is not taken."""
    headers = [_header(file) for file in files]
    parcels = [
        Parcel(
            path=file,
            sop_class_uid=header.SOPClassUID,
            sop_instance_uid=header.SOPInstanceUID,
            transfer_syntax_uid=header.file_meta.TransferSyntaxUID,
        )
        for file, header in zip(files, headers, strict=True)
    ]
    for answer in CStoreDestination(node).deliver(parcels):
        if answer.error is not None:
            raise answer.error


def _header(file: Path) -> pydicom.Dataset:
    """Return the header of a file that C-STORE can send as it is. Raises NotDicom for one without file meta."""
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        str(header.file_meta.TransferSyntaxUID)
    except (InvalidDicomError, AttributeError) as error:
        raise NotDicom(f"{file.name}: no file meta information (PS3.10 7.1), so it cannot be sent") from error
    return header


def _wait_for_case(state_dir: Path, process: Process, step: Callable[[str], None]) -> Mapping[str, Any]:
    """Wait until a case is delivered. Raises NothingToSegment when every case ended otherwise, EngineError when the
    node ended or took too long.
    """
    store = Store(state_dir / "journal.sqlite", read_only=True)
    deadline = time.monotonic() + _RESULTS_S
    shown = ""
    try:
        while time.monotonic() < deadline and process.poll() is None:
            state = overview(store, latest=1000)
            cases = state["latest_cases"]
            if delivered := [case for case in cases if case["state"] == "delivered"]:
                return dict(delivered[0])
            text = ", ".join(f"{count} {name}" for name, count in Counter(case["state"] for case in cases).items())
            text = f"waiting: {text or 'series not complete yet'}"
            if text != shown:
                step(text)
                shown = text
            if cases and not state["receiving"] and all(case["state"] in _FINAL for case in cases):
                reasons = {f"{reason['code']}: {reason['text']}" for case in cases for reason in case["reasons"]}
                raise NothingToSegment("the node refused the series: " + "; ".join(sorted(reasons)))
            time.sleep(0.2)
    finally:
        store.close()
    raise EngineError("the node ended, or gave no result in time; its log on standard error says why")


def _archived_results(archive: Archive, case: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Return the case's objects as the archive lists them. Raises DeliveryError when one is missing there."""
    wanted = {made["sop_instance_uid"] for made in case["objects"]}
    listed = [
        made for made in instances_of_study(archive.peer, case["study_uid"]) if made["sop_instance_uid"] in wanted
    ]
    if len(listed) != len(wanted):
        raise DeliveryError(f"the archive lists {len(listed)} of {len(wanted)} results")
    return list(listed)


def _keep(results: Path, out: Path) -> list[Path]:
    names = [*OBJECT_NAMES.values(), "findings.json", "overlay.png"]
    return [Path(shutil.copy2(results / name, out / name)) for name in names if (results / name).exists()]


def _emptied(folder: Path) -> Path:
    """Return `folder` without what an earlier demo left in it. Raises InputError when it is not a demo's."""
    marker = folder / ".cspine-node-demo"
    if folder.exists() and not marker.exists():
        raise InputError(f"{folder} exists and is no archive of an earlier demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()
    return folder
