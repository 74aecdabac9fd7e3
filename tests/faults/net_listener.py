"""Strangers against the listener: floods, and the fuzz of sessions before and after the handshake."""

import contextlib
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults import canary, certificates, floods, scorecard
from faults.floods import Strangers, Weathered, complaints, weather
from faults.fuzzing import LIMITS, Fuzz, crashes
from faults.processes import Listening, listening

_BATCH = 500
_COMMAND = "PYTHONPATH=.:tests python -m faults --only"

#: Flood -> who floods, and whether at the TLS port.
FLOODS: dict[str, tuple[Callable[[Strangers], None], bool]] = {
    "a PDU of 4 GB before the handshake": (floods.huge_header, False),
    "a PDU of 4 GB after the handshake": (floods.huge_header_after_handshake, False),
    "60 slow-drip connections of one address": (floods.slow_drip, False),
    "60 slow-drip connections of 30 addresses": (lambda strangers: floods.slow_drip(strangers, 60, 30), False),
    "60 slow-drip associations of one address": (floods.slow_drip_after_handshake, False),
    "60 half-open connections": (floods.half_open, False),
    "3 silent TLS clients": (floods.silent, True),
    "60 silent TLS clients": (lambda strangers: floods.silent(strangers, 60), True),
    "associations as fast as eight threads can": (floods.association_flood, False),
    "connections as fast as one thread can": (floods.connection_flood, False),
}
#: What the stock server falls to.
CONTROLS = ("a PDU of 4 GB before the handshake", "3 silent TLS clients")
_PER_ADDRESS = 10
_IDLE = {"maximum_associations": 40, "maximum_connections": 80, "maximum_connections_per_address": 41}


def run_floods(work: Path | None, seed: int, for_s: int) -> list[str]:
    """Let every flood come for `for_s` seconds, record the figures and return what was wrong."""
    begun, found, told = time.monotonic(), {}, []
    with tempfile.TemporaryDirectory(dir=work) as folder:
        with at_risk(Path(folder) / "hardened") as at:
            for name in FLOODS:
                found[name] = flooded(at, name, for_s)
                told += complaints(name, found[name])
        idle = _idle_share(Path(folder))
        caught = stock_falls(Path(folder))
    if idle > 0.05:
        told.append(f"40 idle associations cost {idle:.1%} of a core")
    if len(caught) < len(CONTROLS):
        told.append(f"the stock server fell to {caught} only")
    scorecard.record(
        "net-floods",
        title="Floods of the listener",
        points=len(FLOODS),
        unit="floods",
        faults=len(told),
        controls=f"{len(caught)} of {len(CONTROLS)}",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command=f"{_COMMAND} net-floods",
        proves=f"Each flood lasts {for_s} s; memory grows by less than 50 MB, and a legitimate C-ECHO from another "
        "address is answered within 1 s throughout. The controls are pynetdicom's stock server.",
        limits="Strangers who may associate, from many addresses at once or from one that may have as many connections "
        f"as there are associations (here {_PER_ADDRESS} of 20), can take every association until their PDUs time out: "
        "[[peer]] with networks or certificates keeps them out. Loopback, not a network.",
        idle_associations_40=f"{idle:.1%} of a core",
        floods={name: _told(what) for name, what in found.items()},
    )
    return told


def _told(weathered: Weathered) -> dict[str, Any]:
    kept = asdict(weathered)
    return {key: kept[key] for key in ("growth_mb", "slowest_echo_s", "echoes", "echoes_failed", "held")}


@contextlib.contextmanager
def at_risk(folder: Path, server: str = "hardened") -> Iterator[tuple[Listening, ssl.SSLContext]]:
    """Run a listener with a plain and a TLS port for floods; yield it and what a TLS peer shows.

    The settings are those by default, but no address may have as many connections as there may be associations.
    """
    keys = certificates.make(folder / "certificates")
    with listening(
        folder, server=server, tls={**keys, "port": 0}, maximum_connections_per_address=_PER_ADDRESS
    ) as made:
        yield made, certificates.client(folder / "certificates")


def flooded(at: tuple[Listening, ssl.SSLContext], name: str, for_s: float, patience_s: float = 40.0) -> Weathered:
    """Let a flood come over a listener."""
    flood, over_tls = FLOODS[name]
    return weather(at[0], flood, for_s=for_s, tls=at[1] if over_tls else None, patience_s=patience_s)


def stock_falls(folder: Path) -> list[str]:
    """Return the floods that the stock server is seen to fall to."""
    with at_risk(folder / "stock", "stock") as at:
        return [name for name in CONTROLS if complaints(name, flooded(at, name, 2, 1.0), slowest_s=None)]


def _idle_share(folder: Path) -> float:
    with listening(folder / "idle", **_IDLE) as listener, floods.idle_cpu(listener, 40, 10.0) as share:
        return share


def run_fuzz(work: Path | None, seed: int, sessions: int) -> list[str]:
    """Send so many mutated sessions after the handshake, a fifth as many before it; record, return what was wrong."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir=work) as folder:
        with listening(Path(folder) / "fuzz", **LIMITS) as listener:
            fuzz, figures = fuzzed(listener, seed, sessions)
        told = fuzz.faults + after(listener)
        caught = [flaw for flaw in ("leak", "forget", "hoard") if flaw_is_seen(Path(folder), flaw, seed)]
    if len(caught) < 3:
        told.append(f"of three broken listeners only {caught} were noticed")
    scorecard.record(
        "net-fuzz",
        title="Fuzz of sessions",
        points=sessions,
        unit="sessions after the handshake",
        faults=len(told),
        controls=f"{len(caught)} of 3",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command=f"{_COMMAND} net-fuzz",
        proves="After every 500 sessions the listener answers a C-ECHO, keeps a C-STORE and has the threads, "
        "descriptors and temporary files of before; every session it is left alone with it ends; the canary name is "
        "nowhere. Sessions: PDU and fragment lengths, control headers, contexts, commands and data sets mutated, cut, "
        "interleaved, doubled and lacking, over C-ECHO, C-STORE, N-ACTION and N-EVENT-REPORT, with release, abort and "
        "request collisions.",
        limits="The mutator knows the structure of sessions; it is not guided by coverage.",
        **figures,
    )
    return told


def fuzzed(listener: Listening, seed: int, sessions: int) -> tuple[Fuzz, dict[str, Any]]:
    """Fuzz a listener in batches, and return figures of it."""
    fuzz = Fuzz(listener=listener, seed=seed)
    fuzz.begin()
    before_mb, begun = listener.memory_mb(), time.monotonic()
    for first in range(0, sessions, _BATCH):
        fuzz.after_handshake(first, min(_BATCH, sessions - first))
    rate = sessions / (time.monotonic() - begun)
    for first in range(0, sessions // 5, _BATCH):
        fuzz.before_handshake(first, min(_BATCH, sessions // 5 - first))
    return fuzz, {
        "sessions_before_the_handshake": sessions // 5,
        "sessions_a_second": round(rate, 1),
        "memory_mb_before_and_at_most": [round(before_mb), round(listener.peak_mb())],
        "endings": dict(fuzz.endings),
    }


def after(listener: Listening) -> list[str]:
    """Return what the output and the state of a listener that has ended say: crashes, the canary."""
    told = [f"uncaught: {line}" for line in crashes(listener.log)]
    return told + [f"the canary was seen: {where}" for where in canary.sightings(listener.state_dir, [listener.log])]


def flaw_is_seen(folder: Path, flaw: str, seed: int, sessions: int = 120) -> bool:
    """True when a listener that is broken on purpose is noticed."""
    with listening(folder / flaw, flaw=flaw, **LIMITS) as listener:
        fuzz = Fuzz(listener=listener, seed=seed, patience_s=2.0)
        fuzz.begin()
        fuzz.after_handshake(0, sessions)
    return bool(fuzz.faults)
