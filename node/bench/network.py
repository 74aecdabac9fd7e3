"""Ingest: the whole node against Orthanc, the same images from the same sender on the same machine, in turns.

Both are durable: Orthanc writes its files and its index synchronously (its defaults). The sender is DCMTK's
storescu, one process an association, without Nagle's algorithm on either side.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification
from pynetdicom.presentation import build_context

from node.bench.figures import alternating, summary
from node.bench.images import write_image, write_large_image
from node.bench.machine import describe_machine
from node.bench.processes import cpu_seconds, peak_resident_bytes, resident_bytes, tree
from node.demo.archive import Archive, running_orthanc
from node.demo.livenode import running_node
from node.errors import DeliveryError, PeerUnreachable, SystemFailed
from node.scu.association import Peer, echo

_ASSOCIATIONS = (1, 4, 8)
_IDLE = 40
_IDLE_S = 10.0
_SETTLE_S = 1.0
_SETTLED_CPU = 0.02
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared, and how often."""

    orthanc: str
    storescu: str
    files: Sequence[Path]
    repetitions: int
    scratch: Path
    step: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A running receiver: where it listens, and its process."""

    peer: Peer
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """One delivery of all images."""

    images_per_s: float
    cpu_ms_per_image: float


def measure_network(images: int, repetitions: int, step: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and return the document that is printed and kept. Raises SystemFailed without Orthanc or storescu."""
    orthanc = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    storescu = shutil.which("storescu", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if orthanc is None or storescu is None:
        raise SystemFailed("bench-net needs Orthanc and DCMTK's storescu")
    with tempfile.TemporaryDirectory(prefix="cspine-bench-net-") as scratch_name:
        scratch = Path(scratch_name)
        step(f"writing {images} images")
        comparison = Comparison(
            orthanc=orthanc,
            storescu=storescu,
            files=[write_image(scratch / "images", number, images) for number in range(images)],
            repetitions=repetitions,
            scratch=scratch,
            step=step,
        )
        document: dict[str, Any] = {"machine": describe_machine(None), "images": images, "repetitions": repetitions}
        document["image_bytes"] = comparison.files[0].stat().st_size
        document["ingest"] = {str(count): _ingest(comparison, count) for count in _ASSOCIATIONS}
        with _node(scratch / "node") as receiver:
            step(f"{_IDLE} idle associations")
            document["idle"] = {"associations": _IDLE, "core_share": _idle_share(receiver)}
        with _node(scratch / "big") as receiver:
            step("one large object")
            document["large"] = _large(storescu, receiver, scratch / "large.dcm")
    return document


def rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures: what it is, and its value in words."""
    found = []
    for count, sides in document["ingest"].items():
        node, orthanc = sides["node"], sides["orthanc"]
        rate = f"{node['images_per_s']['median']:.0f} against {orthanc['images_per_s']['median']:.0f}"
        cpu = f"{node['cpu_ms_per_image']['median']:.2f} against {orthanc['cpu_ms_per_image']['median']:.2f}"
        found.append((f"images/s at {count}, node against Orthanc", f"{rate}: {sides['ratio']:.2f} times"))
        found.append((f"CPU at {count}, ms an image", cpu))
    idle, large = document["idle"], document["large"]
    found.append((f"{idle['associations']} idle associations", f"{idle['core_share']:.1%} of a core"))
    found.append((f"memory for an object of {large['bytes'] >> 20} MB", f"{large['growth_bytes'] / 2**20:.0f} MiB"))
    return found


def _ingest(comparison: Comparison, associations: int) -> dict[str, Any]:
    """Both receivers start empty for each repetition: what is known already is cheaper to take."""

    def one(start: Callable[[Path], Any]) -> Ingest:
        with tempfile.TemporaryDirectory(dir=comparison.scratch) as folder, start(Path(folder)) as receiver:
            return _sent(comparison, receiver, associations)

    def reference(folder: Path) -> Any:
        return _orthanc(comparison.orthanc, folder)

    pairs = []
    for pair in alternating(lambda: one(_node), lambda: one(reference), comparison.repetitions):
        pairs.append(pair)
        rates = f"{pair[0].images_per_s:.0f} against {pair[1].images_per_s:.0f} images/s"
        comparison.step(f"{associations} associations: {rates}")
    sides = {"node": [pair[0] for pair in pairs], "orthanc": [pair[1] for pair in pairs]}
    found: dict[str, Any] = {
        name: {
            "images_per_s": summary([run.images_per_s for run in runs]),
            "cpu_ms_per_image": summary([run.cpu_ms_per_image for run in runs]),
        }
        for name, runs in sides.items()
    }
    rate = {name: figures["images_per_s"]["median"] for name, figures in found.items()}
    return {**found, "ratio": round(rate["node"] / rate["orthanc"], 3)}


def _sent(comparison: Comparison, receiver: Receiver, associations: int) -> Ingest:
    """Send all files, dealt out to the associations, and check that each was taken."""
    files = comparison.files
    _settle(receiver.pid)
    before, begun = cpu_seconds(receiver.pid), time.perf_counter()
    senders = [
        _storescu(comparison.storescu, receiver.peer, files[number::associations]) for number in range(associations)
    ]
    codes = [sender.wait(_PATIENCE_S) for sender in senders]
    seconds = time.perf_counter() - begun
    if any(codes):
        raise DeliveryError("storescu could not send all images")
    cpu_s = cpu_seconds(receiver.pid) - before
    return Ingest(images_per_s=len(files) / seconds, cpu_ms_per_image=1000 * cpu_s / len(files))


def _storescu(program: str, peer: Peer, files: Sequence[Path]) -> subprocess.Popen[bytes]:
    command = [program, "-xe", "-aec", peer.ae_title, peer.host, str(peer.port), *map(str, files)]
    return subprocess.Popen(  # noqa: S603 - a program found by `which`
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TCP_NODELAY": "1"}
    )


def _settle(pid: int) -> None:
    """Wait until a process and its children rest: the node loads its networks after it has begun to listen."""
    deadline = time.monotonic() + _PATIENCE_S
    spent = _tree_cpu(pid)
    while time.monotonic() < deadline:
        time.sleep(_SETTLE_S)
        before, spent = spent, _tree_cpu(pid)
        if spent - before < _SETTLED_CPU * _SETTLE_S:
            return
    raise PeerUnreachable("the receiver does not come to rest")


def _tree_cpu(pid: int) -> float:
    return sum(cpu_seconds(member) for member in tree(pid))


def _idle_share(receiver: Receiver) -> float:
    """Return the share of a core that the receiver takes while associations are open and silent."""
    with ExitStack() as opened:
        for _ in range(_IDLE):
            opened.enter_context(_associated(receiver.peer))
        _settle(receiver.pid)
        before, begun = cpu_seconds(receiver.pid), time.perf_counter()
        time.sleep(_IDLE_S)
        return (cpu_seconds(receiver.pid) - before) / (time.perf_counter() - begun)


@contextmanager
def _associated(peer: Peer) -> Iterator[None]:
    """Hold an association that is accepted and then silent, without a thread of its own on this side."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = peer.calling_ae_title, peer.ae_title
    length = MaximumLengthNotification()
    length.maximum_length_received = 16382
    asked.user_information = [length]
    context = build_context(MRImageStorage, [ExplicitVRLittleEndian])
    context.context_id = 1
    asked.presentation_context_definition_list = [context]
    request = A_ASSOCIATE_RQ()
    request.from_primitive(asked)
    with socket.create_connection((peer.host, peer.port), timeout=peer.timeout_s) as connection:
        connection.sendall(request.encode())
        answer = connection.recv(1)
        if answer != b"\x02":
            raise PeerUnreachable("the receiver did not accept an idle association")
        yield


def _large(storescu: str, receiver: Receiver, path: Path) -> dict[str, Any]:
    """Send one object of 256 MB and return how much the receiver's memory grew, at its peak."""
    write_large_image(path)
    _settle(receiver.pid)
    echo(receiver.peer)
    before = resident_bytes(receiver.pid)
    if _storescu(storescu, receiver.peer, [path]).wait(_PATIENCE_S):
        raise DeliveryError("storescu could not send the large object")
    return {"bytes": path.stat().st_size, "growth_bytes": peak_resident_bytes(receiver.pid) - before}


@contextmanager
def _node(folder: Path) -> Iterator[Receiver]:
    """Run the whole node; its series are left open, so that nothing but receiving is measured."""
    nowhere = Peer(host="127.0.0.1", port=1, ae_title="NOWHERE", calling_ae_title="BENCH", timeout_s=1)
    sections = (
        "[completeness]\nquiet_s = 100000\nquiet_after_abort_s = 100000\nhard_cap_s = 100000\n"
        "[receive]\nmaximum_associations = 60\nmaximum_connections = 80\nmaximum_connections_per_address = 80\n"
        "minimum_free_mb = 0\n"
    )
    with running_node(folder, Archive(name="nowhere", peer=nowhere), sections) as node:
        yield Receiver(peer=node.peer, pid=node.process.pid)


@contextmanager
def _orthanc(program: str, folder: Path) -> Iterator[Receiver]:
    with running_orthanc(program, folder) as archive:
        yield Receiver(peer=archive.peer, pid=archive.pid)
