"""The command that sends the results of a batch to an archive."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from node import show
from node.cli.options import ERRORS, AsJson, Config
from node.errors import DeliveryError, SettingsError
from node.settings import DestinationSettings, Settings, load_settings


def send(
    out: Annotated[Path, typer.Argument(help="Folder of the batch.")],
    config: Config,
    destination: Annotated[str, typer.Option("--destination", "-d", help="Name of a destination in the settings.")],
    with_images: Annotated[
        list[Path] | None,
        typer.Option("--with-images", metavar="PATH", help="Send the source images first; here they lie. Repeatable."),
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="The same: images of this CSpineSeg download, or its manifest.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send SEG and SR of every finished case of a batch to a destination, which is asked for them where it is set so.

    The same command sends what is not there yet: what failed, and what is new.
    """
    from node.batch.sending import send_batch, way_of  # noqa: PLC0415 - Dask and pandas take a second to load

    settings = load_settings(config)
    way = way_of(_named(settings, destination, config), settings.node)
    with show.steps(ERRORS) as step:
        report = send_batch(
            out,
            way,
            _images(with_images or [], dataset),
            lambda done, total: step(f"{done} of {total} cases"),
        )
    document = {"out": str(out), "destination": destination, **asdict(report)}
    show.answer(document, _text(document), as_json=as_json)
    if report.failures:
        raise typer.Exit(DeliveryError.exit_code)


def _named(settings: Settings, name: str, config: Path) -> DestinationSettings:
    found = next((one for one in settings.destination if one.name == name), None)
    if found is None:
        raise SettingsError(f"{config}: destination: none is named {name!r}")
    return found


def _images(paths: list[Path], dataset: Path | None) -> Any:
    """Return the input of the batch, None where no images are asked for. Raises SettingsError for both at once."""
    from node.batch.midrc.manifest import open_manifest  # noqa: PLC0415
    from node.batch.sending import cases_of  # noqa: PLC0415
    from node.batch.sources.exams import items_of_exams  # noqa: PLC0415
    from node.batch.sources.paths import items_of_paths  # noqa: PLC0415

    if paths and dataset is not None:
        raise SettingsError("--with-images and --dataset name the same images: give one of them")
    if dataset is not None:
        return cases_of(items_of_exams(open_manifest(dataset).exams, "dicom"))
    if paths:
        return cases_of(items_of_paths(paths, lambda _skipped: None))
    return None


def _text(document: dict[str, Any]) -> str:
    asked = "sent, and found there when asked" if document["confirmed"] else "sent"
    lines = [
        f"{document['destination']}: {document['sent']} cases ({document['objects']} objects) {asked}; "
        f"{document['earlier']} had been sent before, {document['failed']} failed, "
        f"{document['without_results']} have no results"
    ]
    lines += [
        ": ".join(filter(None, (one["key"], one["name"], one["sop_instance_uid"], one["code"], one["text"])))
        for one in document["failures"]
    ]
    return "\n".join(lines)
