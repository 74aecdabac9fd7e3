"""The commands that take trained models in, look at them and give them out."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.cli.options import ERRORS, AsJson, OptionalConfig
from node.domain.anatomy import StructureKind
from node.errors import BundleError, NodeError, SettingsError
from node.receive.archive import unpack_tree
from node.segment.bundle import STARTER, Bundle, load_bundle
from node.segment.models.library import Library
from node.settings import STARTER_BUNDLE, load_settings

app = typer.Typer(help="Trained models: take in, look at, give out.", no_args_is_help=True, add_completion=False)

Models = Annotated[Path | None, typer.Option("--models", help="Library folder; else that of the settings.")]
Which = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A name in the library, a bundle folder, or starter.")]


def _label(text: str) -> tuple[int, StructureKind]:
    value, _, kind = text.partition("=")
    try:
        return int(value), StructureKind(kind)
    except ValueError as error:
        kinds = ", ".join(known.value for known in StructureKind)
        raise typer.BadParameter(f"{text!r} is not VALUE=KIND with one of {kinds}") from error


@app.command("import")
def import_(  # noqa: PLR0913, PLR0917 - one parameter an option
    source: Annotated[Path, typer.Argument(help="Trained-model folder of nnU-Net, one above it, or a zip of it.")],
    name: Annotated[str, typer.Option("--name", help="Name in the library and in every result.")],
    version: Annotated[str, typer.Option("--version", help="Version of the model.")] = "1",
    intended_use: Annotated[
        str, typer.Option("--intended-use", help="A sentence that goes into every result.")
    ] = "Research use only. Not a medical device.",
    orientation: Annotated[
        str, typer.Option("--orientation", help="How the training arrays lay, such as RSP; else found out.")
    ] = "",
    label: Annotated[
        list[str], typer.Option("--label", metavar="VALUE=KIND", help="What a label means, such as 1=vertebral_body.")
    ] = [],  # noqa: B006 - typer copies it
    fold: Annotated[list[str], typer.Option("--fold", help="Take this fold; else all that are there.")] = [],  # noqa: B006
    configuration: Annotated[
        list[str], typer.Option("--configuration", help="Take this one, such as 2d; else all that are there.")
    ] = [],  # noqa: B006
    trainer: Annotated[str, typer.Option("--trainer", help="Where several were used.")] = "",
    plans: Annotated[str, typer.Option("--plans", help="Where there are several.")] = "",
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="final, best or latest; else final, or best.")] = "",
    evaluation: Annotated[Path | None, typer.Option("--evaluation", help="JSON file with figures.")] = None,
    licence: Annotated[Path | None, typer.Option("--licence", help="Licence of the weights.")] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Model card.")] = None,
    config: OptionalConfig = None,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of a trained nnU-Net v2 model and put it into the library. Nothing in the model is executed."""
    from node.segment.models.importing import ImportWishes, import_model  # noqa: PLC0415 - torch takes seconds
    from node.segment.models.modelfolder import Selection  # noqa: PLC0415

    wishes = ImportWishes(
        name=name,
        version=version,
        intended_use=intended_use,
        orientation=orientation.upper(),
        labels=dict(_label(text) for text in label),
        selection=Selection(
            configurations=tuple(configuration),
            trainer=trainer,
            plans=plans,
            folds=tuple(fold),
            checkpoint=checkpoint,
        ),
        evaluation=evaluation,
        licence=licence,
        card=card,
    )
    out = _library(config, models).place(name)
    if out.exists():
        raise BundleError(f"{out}: is there already; remove it first or take another name")
    with ExitStack() as stack:
        step: Callable[[str], None] = stack.enter_context(show.steps(ERRORS))
        bundle = import_model(_folder_of(source, out.parent, stack), out, wishes, step)
    show.answer(_document(bundle), _text(bundle), as_json=as_json)


@app.command("list")
def list_(config: OptionalConfig = None, models: Models = None, as_json: AsJson = False) -> None:
    """List the bundles in the library."""
    library = _library(config, models)
    found: list[dict[str, Any]] = []
    for name in library.names():
        try:
            bundle = load_bundle(library.find(name))
            found.append({"name": name, "version": bundle.version, "digest": bundle.digest})
        except NodeError as error:
            found.append({"name": name, **show.error_document(error)})
    lines = [
        f"{item['name']}  {item['version']}  {item['digest'][:12]}"
        if "error" not in item
        else f"{item['name']}  {item['error']['code']}: {item['error']['message']}"
        for item in found
    ]
    text = "\n".join(lines) or f"no models in {library.folder}"
    show.answer({"folder": str(library.folder), "models": found}, text, as_json=as_json)


@app.command("show")
def show_(which: Which, config: OptionalConfig = None, models: Models = None, as_json: AsJson = False) -> None:
    """Show what a bundle is and where it comes from, after checking its digests."""
    bundle = load_bundle(_place(which, config, models))
    show.answer(_document(bundle), _text(bundle), as_json=as_json)


@app.command()
def verify(which: Which, config: OptionalConfig = None, models: Models = None, as_json: AsJson = False) -> None:
    """Read every file of a bundle again, build its networks and load their weights."""
    from node.segment.models.verifying import verify_networks  # noqa: PLC0415 - torch takes seconds to import

    bundle = load_bundle(_place(which, config, models))
    counts = verify_networks(bundle)
    lines = [f"{name}: {count / 1e6:.1f} million weights" for name, count in counts.items()]
    show.answer(
        {"ok": True, "name": bundle.name, "digest": bundle.digest, "weights": counts},
        "\n".join([f"{bundle.name} {bundle.version}: ok, {bundle.digest}", *lines]),
        as_json=as_json,
    )


@app.command()
def remove(name: str, config: OptionalConfig = None, models: Models = None, as_json: AsJson = False) -> None:
    """Delete a bundle from the library, unless the settings name it."""
    library = _library(config, models)
    folder = library.find(name)
    if config is not None and Path(load_settings(config).model.bundle).resolve() == folder.resolve():
        raise SettingsError(f"{config}: model.bundle names {name!r}; name another one before removing it")
    library.remove(name)
    show.answer({"removed": name}, f"{name} removed", as_json=as_json)


@app.command()
def export(
    which: Which,
    out: Annotated[Path, typer.Argument(help="New folder for the trained-model folders.")],
    config: OptionalConfig = None,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Write a bundle as the folders that nnU-Net's own commands take."""
    from node.segment.models.exporting import export_model  # noqa: PLC0415 - torch takes seconds to import

    folders = export_model(load_bundle(_place(which, config, models)), out)
    show.answer({"folders": [str(folder) for folder in folders]}, "\n".join(map(str, folders)), as_json=as_json)


def _library(config: Path | None, models: Path | None) -> Library:
    if models is not None:
        return Library(folder=models)
    if config is None:
        raise SettingsError("which library? Give --config FILE or --models DIR")
    return Library(folder=load_settings(config).node.models_dir)


def _place(which: str, config: Path | None, models: Path | None) -> Path:
    """Return the folder of a bundle; a name and a path are told apart as in the settings."""
    if which == STARTER_BUNDLE:
        return STARTER
    if "/" in which or which.startswith((".", "~")):
        return Path(which).expanduser()
    return _library(config, models).find(which)


def _folder_of(source: Path, beside: Path, stack: ExitStack) -> Path:
    """Return the folder of a source; a zip is unpacked where the bundle will lie, until the import is over."""
    if not source.is_file():
        return source
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".unpacked-", dir=beside)))
    unpack_tree(source, folder)
    return folder


def _document(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "intended_use": bundle.intended_use,
        "folder": str(bundle.folder),
        "digest": bundle.digest,
        "orientation": bundle.orientation,
        "labels": {str(value): kind.value for value, kind in bundle.labels.items()},
        "members": [
            {"configuration": member.configuration, "folds": [*member.folds], "mirror_axes": [*member.mirror_axes]}
            for member in bundle.members
        ],
        "source": dict(bundle.source),
        "evaluation": dict(bundle.evaluation),
    }


def _text(bundle: Bundle) -> str:
    labels = ", ".join(f"{value} {kind.value}" for value, kind in bundle.labels.items())
    members = [
        f"  {member.configuration}: folds {', '.join(member.folds)}; "
        f"mirrored along {', '.join(map(str, member.mirror_axes)) or 'nothing'}"
        for member in bundle.members
    ]
    source = [f"  {what}: {words}" for what, words in bundle.source.items()]
    return "\n".join(
        [
            f"{bundle.name} {bundle.version}",
            bundle.intended_use,
            f"digest: {bundle.digest}",
            f"folder: {bundle.folder}",
            f"labels: {labels}; orientation of the training arrays: {bundle.orientation}",
            "networks:",
            *members,
            "from:",
            *source,
        ]
    )
