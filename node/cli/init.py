"""`cspine-node init`: the first settings file of a site."""

import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from node import show
from node.cli.options import ERRORS, AsJson
from node.doctor.units import closed, drop_in
from node.durable import write_durably
from node.errors import InputError
from node.settings import load_settings, parse_settings
from node.settings.example import Draft

Kind = Literal["dicom", "stow", "folder"]
T = TypeVar("T", str, int, Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a site says of itself."""

    state_dir: str
    ae_title: str
    host: str
    port: int
    archive: Kind
    archive_host: str
    archive_port: int
    archive_ae_title: str
    #: Of "stow": the base of the service.
    archive_url: str
    #: Of "folder".
    archive_path: str
    #: AE title of who sends series; empty lets everyone who reaches the port.
    sender: str
    #: Where it calls from.
    sender_networks: tuple[str, ...]
    #: Socket of the worker that holds the networks; empty: the node holds them itself.
    worker: str


#: What stands in the example, and what is asked.
_DEFAULTS = Answers(
    state_dir="/var/lib/cspine-node",
    ae_title="CSPINE",
    host="127.0.0.1",
    port=11112,
    archive="dicom",
    archive_host="127.0.0.1",
    archive_port=4242,
    archive_ae_title="ORTHANC",
    archive_url="https://pacs.hospital/dicom-web",
    archive_path="/data/results",
    sender="",
    sender_networks=(),
    worker="",
)

#: Where the worker of the systemd units listens (systemd/cspine-node-worker.service).
_WORKER_OF_UNITS = "/run/cspine-node-worker/worker.sock"
#: Of the file: it holds no secret, and the service that reads it is not who writes it.
_MODE = 0o644


def init(  # noqa: PLR0913, PLR0917 - one parameter an option
    out: Annotated[Path, typer.Option("--out", "-o", help="The settings file to write.")] = Path("cspine-node.toml"),
    state_dir: Annotated[str | None, typer.Option("--state-dir", help="Folder of journal and files.")] = None,
    ae_title: Annotated[str | None, typer.Option("--ae-title", help="AE title of the node.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; 0.0.0.0: all.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="DICOM port of the node.")] = None,
    archive: Annotated[
        str | None, typer.Option("--archive", help="Where results go: dicom (C-STORE), stow (STOW-RS), folder.")
    ] = None,
    archive_host: Annotated[str | None, typer.Option("--archive-host")] = None,
    archive_port: Annotated[int | None, typer.Option("--archive-port")] = None,
    archive_ae_title: Annotated[str | None, typer.Option("--archive-ae-title")] = None,
    archive_url: Annotated[str | None, typer.Option("--archive-url", help="Base of the DICOMweb service.")] = None,
    archive_path: Annotated[str | None, typer.Option("--archive-path", help="Folder for results.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", help="AE title that may send; else everyone may.")] = None,
    sender_network: Annotated[
        list[str], typer.Option("--sender-network", help="Where it calls from, such as 10.1.2.0/24; again for more.")
    ] = [],  # noqa: B006 - typer copies it
    services: Annotated[
        bool, typer.Option("--services", help="For the systemd units: the networks are in a unit of their own.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what no option says is the default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented settings file: every key is in it, with its meaning and its default.

    On a terminal it asks for what no option says.
    """
    if out.exists() and not force:
        raise InputError(f"{out} is there already; --force replaces it")
    ask = _Asking(on=not (yes or as_json) and sys.stdin.isatty())
    where = _archive_kind(archive) if archive is not None else ask.kind("Where do results go (dicom, stow, folder)")
    answers = Answers(
        ae_title=ask.text(ae_title, "AE title of the node", _DEFAULTS.ae_title),
        host=ask.text(host, "Address to listen on (0.0.0.0: all)", _DEFAULTS.host),
        port=ask.number(port, "DICOM port of the node", _DEFAULTS.port),
        state_dir=ask.text(state_dir, "Folder for journal and files", _DEFAULTS.state_dir),
        archive=where,
        archive_host=ask.text(archive_host, "Host of the archive", _DEFAULTS.archive_host, when=where == "dicom"),
        archive_port=ask.number(archive_port, "Its DICOM port", _DEFAULTS.archive_port, when=where == "dicom"),
        archive_ae_title=ask.text(archive_ae_title, "Its AE title", _DEFAULTS.archive_ae_title, when=where == "dicom"),
        archive_url=ask.text(archive_url, "Base of its DICOMweb", _DEFAULTS.archive_url, when=where == "stow"),
        archive_path=ask.text(archive_path, "Folder for results", _DEFAULTS.archive_path, when=where == "folder"),
        sender=(who := ask.text(sender, "AE title that may send series (empty: everyone)", _DEFAULTS.sender)),
        sender_networks=tuple(sender_network) or ask.words("Its networks, such as 10.1.2.0/24 (empty: any)", when=who),
        worker=_WORKER_OF_UNITS if services else "",
    )
    text = written(answers)
    settings = parse_settings(tomllib.loads(text), name=str(out))
    write_durably(out.absolute(), [text.encode()])
    out.chmod(_MODE)
    node = settings.node
    show.answer(
        {"path": str(out), "ae_title": node.ae_title, "host": node.host, "port": node.port},
        f"{out} is written. Next:\n"
        f"  cspine-node check-config --config {out}    says what is wrong with it\n"
        f"  cspine-node echo --config {out}            asks the archive whether it is there\n"
        + (
            "  systemctl enable --now cspine-node.target      runs the node"
            if services
            else f"  cspine-node serve --config {out}           runs the node"
        )
        + f": {node.ae_title} at {node.host}:{node.port}"
        + _to_be_opened(out),
        as_json=as_json,
    )


def _to_be_opened(out: Path) -> str:
    """Return what is still to be done where the unit of the receiver keeps it from the folder for results."""
    return "".join(
        f"\nBefore that let the receiver's unit write to {folder}: systemctl edit cspine-node-receiver\n"
        f"  [Service]\n"
        f"  {drop_in(folder)}"
        for folder in closed(load_settings(out)).values()
    )


def written(answers: Answers) -> str:
    """Return the example settings with the answers in them."""
    draft = Draft()
    for key in ("state_dir", "ae_title", "host", "port"):
        draft.set("[node]", key, getattr(answers, key))
    if answers.worker:
        draft.set("[model]", "worker", answers.worker)
    if answers.sender:
        draft.set("[[peer]]", "ae_title", answers.sender)
        if answers.sender_networks:
            draft.set("[[peer]]", "networks", answers.sender_networks)
    if answers.archive == "dicom":
        draft.set("[[destination]]", "host", answers.archive_host)
        draft.set("[[destination]]", "port", answers.archive_port)
        draft.set("[[destination]]", "ae_title", answers.archive_ae_title)
        return draft.text()
    number, key, value = {
        "stow": (1, "url", answers.archive_url),
        "folder": (2, "path", answers.archive_path),
    }[answers.archive]
    draft.switch_off("[[destination]]")
    draft.set("[[destination]]", "name", "archive", number=number)
    draft.set("[[destination]]", "kind", answers.archive, number=number)
    draft.set("[[destination]]", key, value, number=number)
    return draft.text()


def _archive_kind(text: str) -> Kind:
    kinds: dict[str, Kind] = {"dicom": "dicom", "stow": "stow", "folder": "folder"}
    if text not in kinds:
        raise typer.BadParameter(f"--archive is {', '.join(kinds)}, not {text!r}")
    return kinds[text]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks a person, where there is one; questions go to standard error."""

    on: bool

    def text(self, given: str | None, question: str, default: str, *, when: bool = True) -> str:
        """Return what was given, or said, or the default."""
        return self._asked(given, question, default, str, when=when)

    def number(self, given: int | None, question: str, default: int, *, when: bool = True) -> int:
        """Return what was given, or said, or the default."""
        return self._asked(given, question, default, int, when=when)

    def kind(self, question: str) -> Kind:
        """Return the kind of destination that was said, or the default."""
        return self._asked(None, question, _DEFAULTS.archive, _archive_kind, when=True)

    def words(self, question: str, *, when: str) -> tuple[str, ...]:
        """Return what was said, one word or several; nothing unless there is a `when`."""
        return tuple(self._asked(None, question, "", str, when=bool(when)).replace(",", " ").split())

    def _asked(self, given: T | None, question: str, default: T, kind: Callable[[str], T], *, when: bool) -> T:
        if given is not None:
            return given
        if not (self.on and when):
            return default
        while True:
            ERRORS.print(f"{question} ({default}): " if default else f"{question}: ", end="", markup=False)
            said = sys.stdin.readline().strip()
            try:
                return kind(said) if said else default
            except ValueError:
                ERRORS.print("a number, please")
            except typer.BadParameter as error:
                ERRORS.print(str(error), markup=False)
