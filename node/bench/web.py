"""How fast the page answers over a large journal: the whole way over HTTP, with uvicorn, from the same machine.

What is asked again and again by an open page or by Prometheus has a limit (`LIMITS_MS`, median); the rest is told.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from node.bench.figures import summary
from node.bench.machine import describe_machine
from node.bench.webjournal import fill
from node.demo.archive import free_port
from node.journal.store import Store
from node.settings import Settings, WebSettings, parse_settings
from node.web.app import build_app
from node.web.serve import WebServer
from node.web.site import Site

#: Median of an answer in milliseconds, at most.
LIMITS_MS: Mapping[str, float] = {"worklist": 100.0, "metrics": 50.0}
_WARM_UP = 5
_PATIENCE_S = 60.0


def measure_web(cases: int, repetitions: int, step: Callable[[str], None]) -> dict[str, Any]:
    """Return the milliseconds of each address over a journal of so many cases. Raises JournalError, SystemFailed."""
    with TemporaryDirectory() as folder:
        state_dir = Path(folder)
        step(f"journal of {cases} cases")
        fill(state_dir / "journal.sqlite", cases, until=datetime.now(UTC))
        with _served(_settings(state_dir)) as url, httpx.Client(base_url=url, timeout=_PATIENCE_S) as client:
            took = {name: _timed(client, path, repetitions, step) for name, path in _paths(cases).items()}
    return {
        "machine": describe_machine(None),
        "cases": cases,
        "repetitions": repetitions,
        "milliseconds": {name: summary(values) for name, values in took.items()},
        "limits_ms": dict(LIMITS_MS),
    }


def over_limit(document: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each limit that a measurement breaks."""
    medians = {name: document["milliseconds"][name]["median"] for name in document["limits_ms"]}
    return [
        f"{name}: {medians[name]:.0f} ms, at most {limit:.0f} ms are asked for"
        for name, limit in document["limits_ms"].items()
        if medians[name] > limit
    ]


def web_text(document: Mapping[str, Any]) -> str:
    """Return the figures for a person."""
    lines = [f"{document['cases']} cases; milliseconds, median and 95th percentile of {document['repetitions']}"]
    for name, found in document["milliseconds"].items():
        limit = document["limits_ms"].get(name)
        lines.append(
            f"{name:<28} {found['median']:8.1f} {found['p95']:8.1f}{f'   at most {limit:.0f}' if limit else ''}"
        )
    return "\n".join(lines)


def _paths(cases: int) -> Mapping[str, str]:
    return {
        "worklist": "/",
        "worklist, filtered": "/?state=undelivered&verdict=review&route=neck",
        "worklist, half way down": f"/?before={cases // 2}",
        "worklist, by number": f"/?text={cases // 2}",
        "worklist, by UID": f"/?text=1.2.826.0.1.3680043.10.1.{cases // 2}.1.3",
        "worklist, by sender": "/?text=scanner3",
        "worklist, nothing fits": "/?text=nobody",
        "worklist, a day": f"/?since={datetime.now(UTC):%Y-%m-%d}",
        "a case": f"/cases/{cases // 2 + 1}",
        "API, 500 cases": "/api/v1/cases?limit=500",
        "metrics": "/metrics",
    }


def _timed(client: httpx.Client, path: str, repetitions: int, step: Callable[[str], None]) -> list[float]:
    step(path)
    _until_ready(client, path)
    took = []
    for number in range(_WARM_UP + repetitions):
        begun = time.perf_counter()
        client.get(path).raise_for_status()
        if number >= _WARM_UP:
            took.append(1000 * (time.perf_counter() - begun))
    return took


def _until_ready(client: httpx.Client, path: str) -> None:
    """Wait until an address does not ask to be asked later."""
    deadline = time.monotonic() + _PATIENCE_S
    while (answer := client.get(path)).status_code == httpx.codes.SERVICE_UNAVAILABLE and time.monotonic() < deadline:
        threading.Event().wait(float(answer.headers.get("Retry-After", 1)))


def _settings(state_dir: Path) -> Settings:
    parsed = parse_settings(
        {
            "node": {"state_dir": str(state_dir)},
            "route": [{"name": "neck", "destinations": ["archive"]}],
            "destination": [{"name": "archive", "host": "127.0.0.1", "port": 4242, "ae_title": "ARCHIVE"}],
        },
        name="bench",
    )
    return parsed.model_copy(update={"web": WebSettings(port=free_port(), loopback_sees_identifiers=True)})


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    """Serve the page over a journal, of a node that does not run, until the block ends; yield where."""
    with closing(Store(settings.node.state_dir / "journal.sqlite", read_only=True)) as store:
        app = build_app(Site(settings=settings, store=store, ask=lambda _request: None))
        server = WebServer(app, settings.web)
        thread = threading.Thread(target=server.run, name="web page")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.stop()
            thread.join()
