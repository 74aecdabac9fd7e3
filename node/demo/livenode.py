"""A node of one's own beside an archive: `cspine-node serve` in a process, sent to over C-STORE."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.demo.archive import Archive, free_port
from node.errors import DeliveryError, EngineError, NotDicom, NothingToSegment, PeerUnreachable
from node.journal.overview import overview
from node.journal.store import Store
from node.scu.association import Peer, echo

_READY_S = 120.0
_RESULTS_S = 1800.0
_AE_TITLE = "CSPINE"
_FINAL = frozenset({"rejected", "quarantined", "undelivered"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNode:
    """A node that listens."""

    peer: Peer
    state_dir: Path
    process: subprocess.Popen[bytes]

    def alive(self) -> bool:
        """Return whether the node still runs."""
        return self.process.poll() is None

    def send(self, files: Sequence[Path]) -> None:
        """Send the files over C-STORE; on return the last is answered. Raises DeliveryError when one is not taken."""
        for answer in CStoreDestination(self.peer).deliver([_parcel(file) for file in files]):
            if answer.error is not None:
                raise answer.error

    def delivered(
        self, step: Callable[[str], None], *, series_uid: str | None = None, within_s: float = _RESULTS_S
    ) -> Mapping[str, Any]:
        """Wait until a case, that of `series_uid` where it is given, is delivered, and return it.

        Raises NothingToSegment when every case ended otherwise, EngineError when the node ended or took too long.
        """
        store = Store(self.state_dir / "journal.sqlite", read_only=True)
        deadline = time.monotonic() + within_s
        shown = ""
        try:
            while time.monotonic() < deadline and self.alive():
                state = overview(store, latest=1000)
                cases = [case for case in state["latest_cases"] if series_uid in {None, case["series_uid"]}]
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

    @staticmethod
    def sent(case: Mapping[str, Any]) -> frozenset[str]:
        """Return the SOP Instance UIDs of a case's objects that went to a destination; others only lie on the disk."""
        return frozenset(made["sop_instance_uid"] for made in case["objects"] if made["destination"] is not None)

    def results(self, case: Mapping[str, Any]) -> Path:
        """Return the folder with a case's results."""
        return self.state_dir / Path(case["objects"][0]["path"]).parent

    def findings(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Return a case's `findings.json`."""
        return dict(json.loads((self.results(case) / "findings.json").read_text()))


@contextmanager
def running_node(folder: Path, archive: Archive, sections: str, rules: str = "") -> Iterator[LiveNode]:
    """Run `cspine-node serve` in a process of its own, with its state in `folder`, until the block ends.

    `sections`: further tables of the settings file. `rules`: `[route.accept]`, or what is left of the default ones.
    Raises PeerUnreachable when the node does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "cspine-node.toml"
    config.write_text(
        f'[node]\nstate_dir = "{folder / "state"}"\nae_title = "{_AE_TITLE}"\nport = {port}\n'
        f'[log]\nlevel = "warning"\n{sections}'
        f'[[route]]\nname = "demo"\ndestinations = ["archive"]\n{rules}'
        f'[[destination]]\nname = "archive"\nhost = "{archive.peer.host}"\nport = {archive.peer.port}\n'
        f'ae_title = "{archive.peer.ae_title}"\nretry_delay_s = 1\nconfirm = "query"\n'
    )
    command = [sys.executable, "-m", "node", "serve", "--config", str(config), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - this very program
    peer = Peer(host="127.0.0.1", port=port, ae_title=_AE_TITLE, calling_ae_title="CSPINEDEMO", timeout_s=_READY_S)
    try:
        _wait_until_listening(process, peer)
        yield LiveNode(peer=peer, state_dir=folder / "state", process=process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _wait_until_listening(process: subprocess.Popen[bytes], peer: Peer) -> None:
    deadline = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            echo(peer)
        except DeliveryError:
            time.sleep(0.1)
        else:
            return
    raise PeerUnreachable("the node did not start; its log on standard error says why")


def _parcel(file: Path) -> Parcel:
    """Return a file as C-STORE sends it. Raises NotDicom for one without file meta."""
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        return Parcel(
            path=file,
            sop_class_uid=header.SOPClassUID,
            sop_instance_uid=header.SOPInstanceUID,
            transfer_syntax_uid=header.file_meta.TransferSyntaxUID,
        )
    except (InvalidDicomError, AttributeError) as error:
        raise NotDicom(f"{file.name}: no file meta information (PS3.10 7.1), so it cannot be sent") from error
