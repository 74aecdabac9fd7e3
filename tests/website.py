"""The web page for tests: a node that runs with an oracle for an engine, cases in several states, a browser before it.

Fixtures over these stand in `tests/web/conftest.py`:

    client      the application over an empty journal, without a server: quick, for what needs no browser
    node        a `LiveNode`, shared by all tests of the page: `node.cases["delivered"]` is the number of a case
    site_url    where its page is, open, on loopback
    visit       opens a page of it in Chromium; the test fails when the page logs an error or breaks its own policy
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from axe_playwright_python.sync_playwright import Axe
from oracle import write_blocks, write_neck
from playwright.sync_api import Page

from node.bootstrap.state import open_journal_for_reading
from node.control import ask
from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.demo.archive import free_port
from node.journal.overview import overview
from node.journal.store import Store
from node.scu.association import Peer
from node.settings import Settings, WebSettings, load_settings
from node.web.app import build_app
from node.web.serve import WebServer
from node.web.site import Site

TESTS = Path(__file__).parent
_PATIENCE_S = 120.0

#: Name of a case -> what its series is, what is changed in its headers, and the state that it comes to.
SERIES: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "delivered": ("neck", {}, "delivered"),
    "small": ("blocks", {}, "delivered"),
    "rejected": ("blocks", {"StudyDescription": "MRI LUMBAR SPINE", "BodyPartExamined": "LSPINE"}, "rejected"),
    "quarantined": ("gap", {}, "quarantined"),
    "sending": ("blocks", {"SeriesDescription": "SAG T2 SECOND READER"}, "sending"),
    "held": ("blocks", {"SeriesDescription": "SAG T2 SECOND READER"}, "sending"),
    "cancelled": ("blocks", {"SeriesDescription": "SAG T2 SECOND READER"}, "sending"),
}
#: What an operator does to a case once it is there.
_DONE = {"held": "hold", "cancelled": "cancel"}


@dataclass(slots=True, kw_only=True)
class LiveNode:
    """A node in a process of its own, with Orthanc behind it and a destination that does not answer."""

    folder: Path
    archive: Peer
    port: int
    process: subprocess.Popen[bytes]
    settings: Settings
    store: Store
    #: Number of each case of `SERIES`.
    cases: dict[str, int] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """What the page stands on."""
        return self.site_with(self.settings.web)

    def site_with(self, web: WebSettings) -> Site:
        """Return the same with other settings of the page."""
        state_dir = self.settings.node.state_dir
        settings = self.settings.model_copy(update={"web": web})
        return Site(settings=settings, store=self.store, ask=lambda request: ask(state_dir, request, patience_s=30))

    def send(self, files: Sequence[Path]) -> str:
        """Send a series, and return its UID."""
        headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
        peer = Peer(host="127.0.0.1", port=self.port, ae_title="CSPINE", calling_ae_title="PACS", timeout_s=30)
        parcels = [
            Parcel(
                path=file,
                sop_class_uid=header.SOPClassUID,
                sop_instance_uid=header.SOPInstanceUID,
                transfer_syntax_uid=header.file_meta.TransferSyntaxUID,
            )
            for file, header in zip(files, headers, strict=True)
        ]
        assert all(answer.error is None for answer in CStoreDestination(peer).deliver(parcels))
        return str(headers[0].SeriesInstanceUID)

    def until(self, series_uid: str, *states: str) -> int:
        """Wait until the newest case of a series is in one of `states`, and return its number."""
        found: list[int] = []

        def there() -> bool:
            rows = overview(self.store, latest=1000)["latest_cases"]
            found[:] = [row["id"] for row in rows if row["series_uid"] == series_uid and row["state"] in states]
            return bool(found)

        wait_for(there, lambda: f"{overview(self.store, latest=50)['cases']}\n{self.log()[-3000:]}")
        return found[0]

    def new_case(self, name: str, *, kind: str = "blocks", state: str = "delivered", **headers: str) -> int:
        """Send a new series that nobody else looks at, and return its case once it is in `state`."""
        return self.until(self.send(series_files(self.folder / "sent", name, kind, headers)), state)

    def state(self, case: int) -> str:
        """Return the state of a case."""
        return str(next(row["state"] for row in overview(self.store, latest=1000)["latest_cases"] if row["id"] == case))

    def ask(self, **request: Any) -> Mapping[str, Any]:
        """Ask the node over its control socket."""
        answer = ask(self.settings.node.state_dir, request, patience_s=30)
        assert answer is not None
        return answer

    def log(self) -> str:
        """Return what the node logged."""
        return (self.folder / "node.log").read_text()


def wait_for(happened: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Poll until something has happened."""
    deadline, poll = time.monotonic() + _PATIENCE_S, threading.Event()
    while not happened():
        assert time.monotonic() < deadline, told()
        poll.wait(0.02)


def series_files(folder: Path, name: str, kind: str, headers: Mapping[str, str]) -> list[Path]:
    """Write a series: "neck", "blocks", or "gap" for blocks of which a slice is missing; with other `headers`."""
    write = write_neck if kind == "neck" else write_blocks
    files = write(folder / name, name=name)
    if kind == "gap":
        files.pop(len(files) // 2).unlink()
    if headers:
        for file in files:
            data_set = pydicom.dcmread(file)
            for keyword, value in headers.items():
                setattr(data_set, keyword, value)
            data_set.save_as(file)
    return files


@contextlib.contextmanager
def live_node(folder: Path, archive: Peer) -> Iterator[LiveNode]:
    """Run a node with one case of each of `SERIES` until the block ends."""
    port = free_port()
    config = folder / "cspine-node.toml"
    config.write_text(_settings_text(port, archive))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    command = [sys.executable, str(TESTS / "faults" / "oracle_node.py"), "serve", "--config", str(config), "--json"]
    with (folder / "node.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"{\n", (folder / "node.log").read_text()
        settings = load_settings(config)
        with contextlib.closing(open_journal_for_reading(settings)) as store:
            node = LiveNode(folder=folder, archive=archive, port=port, process=process, settings=settings, store=store)
            _fill(node)
            yield node
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _settings_text(port: int, archive: Peer) -> str:
    retry = "retry_delay_s = 0.5\nretry_cap_s = 600\n"
    return (
        f'[node]\nstate_dir = "state"\nport = {port}\n[completeness]\nquiet_s = 0.3\nquiet_expected_s = 0.3\n'
        '[[route]]\nname = "second"\ndestinations = ["elsewhere"]\n'
        '[route.accept]\nseries_description = ["second reader"]\n'
        '[[route]]\nname = "cervical"\ndestinations = ["archive"]\n'
        f'[[destination]]\nname = "archive"\nhost = "127.0.0.1"\nport = {archive.port}\n'
        f'ae_title = "{archive.ae_title}"\nconfirm = "query"\n{retry}'
        f'[[destination]]\nname = "elsewhere"\nhost = "127.0.0.1"\nport = {free_port()}\nae_title = "NOBODY"\n{retry}'
        f'[[peer]]\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {archive.port}\n'
    )


def _fill(node: LiveNode) -> None:
    uids = {
        name: node.send(series_files(node.folder / "sent", name, kind, headers))
        for name, (kind, headers, _) in SERIES.items()
    }
    for name, uid in uids.items():
        node.cases[name] = node.until(uid, SERIES[name][2])
    for name, action in _DONE.items():
        assert node.ask(do=action, cases=[node.cases[name]])["exit_code"] == 0


@contextlib.contextmanager
def web_page(site: Site) -> Iterator[str]:
    """Serve a site on a free port until the block ends, and yield where."""
    web = site.settings.web.model_copy(update={"port": free_port()})
    app = build_app(Site(settings=site.settings.model_copy(update={"web": web}), store=site.store, ask=site.ask))
    server = WebServer(app, web)
    thread = threading.Thread(target=server.run, name="web page")
    thread.start()
    try:
        yield f"http{'s' if web.tls else ''}://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join()


def faults_of(page: Page) -> list[str]:
    """Return what axe-core calls a serious or critical fault of the page as it stands."""
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {item['help']}: {node['html'][:200]}"
        for item in found
        if item["impact"] in {"serious", "critical"}
        for node in item["nodes"]
    ]


def shot(page: Page, name: str) -> None:
    """Keep a picture of the page, light and dark, in the folder $CSPINE_NODE_SHOTS, where that is set: to look at."""
    folder = os.environ.get("CSPINE_NODE_SHOTS")
    if not folder:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")


def faults_in_both_schemes(page: Page) -> list[str]:
    """Return the faults of the page in light and in dark colours."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found += [f"{scheme}: {fault}" for fault in faults_of(page)]
    page.emulate_media(color_scheme="light")
    return found
