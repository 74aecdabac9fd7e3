"""A trained model of nnU-Net becomes a bundle.

The source is foreign: nothing in it is called, no class that it names is imported, and what is taken is taken by name.
The bundle grows in a hidden folder beside its place and is renamed at the end, so that there is a whole one or none.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from node.domain.anatomy import StructureKind
from node.durable import new_folder_durably
from node.errors import BundleError, ModelRefused
from node.segment.bundle import Bundle, load_bundle, seal, sound_manifest, weights_name
from node.segment.models.labels import meanings
from node.segment.models.modelfolder import Selection, TrainedModel, checkpoints, chosen, find_models
from node.segment.models.planfile import Json, read_json, shortened
from node.segment.models.plans import labels_of
from node.segment.models.provenance import described_labels, finite, reported_scores, training_orientation
from node.segment.models.trainers import check_trainer
from node.segment.nnunet.checkpoint import Checkpoint, Weights, read_checkpoint, write_weights
from node.segment.nnunet.network import Plan, build_network, own_weights, read_plan

#: What distributed training and torch.compile put before the names of weights.
_PREFIXES = ("module.", "_orig_mod.")
#: nnU-Net's largest presets have some 100 million; a checkpoint may claim any shape with a few bytes.
_MOST_WEIGHTS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWishes:
    """What the importer says about a model, and which part of the source is meant."""

    name: str
    version: str = "1"
    intended_use: str = "Research use only. Not a medical device."
    #: Directions in which slices, rows and columns of the training arrays grow; empty: to be found.
    orientation: str = ""
    #: Label value -> what it means, where the name of the label does not say it.
    labels: Mapping[int, StructureKind] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)
    #: Files that are taken along: figures (a JSON object), the licence of the weights, a model card.
    evaluation: Path | None = None
    licence: Path | None = None
    card: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A member in the making."""

    model: TrainedModel
    plan: Plan
    files: Mapping[str, Path]

    def entry(self, mirror_axes: Sequence[int] = ()) -> Json:
        """Return the member as the manifest lists it."""
        name = self.model.configuration
        return {"configuration": name, "folder": name, "folds": [*self.files], "mirror_axes": [*mirror_axes]}


def import_model(
    source: Path, out: Path, wishes: ImportWishes, step: Callable[[str], None] = lambda _text: None
) -> Bundle:
    """Make the bundle `out` of the trained models in the folder `source`, and return it.

    `source`: the folder of one trained model, of a data set with several configurations, or one above. `step` is told
    what is being read. Raises BundleError, ModelRefused; `out` is then as it was.
    """
    if out.exists():
        raise BundleError(f"{out}: is there already")
    models = chosen(find_models(source), wishes.selection)
    with new_folder_durably(out) as folder:
        parts = [_part(folder, model, wishes.selection) for model in models]
        manifest = _manifest(parts, wishes)
        sound_manifest(manifest, {})  # before hundreds of megabytes are read
        manifest["members"] = [part.entry(_write_folds(folder, part, step)) for part in parts]
        for file, name in ((wishes.licence, "LICENSE"), (wishes.card, "MODEL_CARD.md")):
            if file is not None:
                shutil.copyfile(file, folder / name)
        seal(folder, manifest)
    return load_bundle(out)


def _part(folder: Path, model: TrainedModel, selection: Selection) -> _Part:
    """Copy the description of a model, check the copy, and find the checkpoints."""
    own = folder / model.configuration
    own.mkdir()
    for name in ("plans.json", "dataset.json"):
        shutil.copyfile(model.folder / name, own / name)
    return _Part(model=model, plan=read_plan(own, model.configuration), files=checkpoints(model, selection))


def _manifest(parts: Sequence[_Part], wishes: ImportWishes) -> Json:
    """Return the manifest's fields, its mirror axes still open."""
    models, plans = [part.model for part in parts], [part.plan for part in parts]
    labels = labels_of(plans[0].dataset)
    if any(labels_of(plan.dataset) != labels for plan in plans):
        raise ModelRefused("the configurations differ in their labels")
    orientation, known_from = training_orientation(models, plans, wishes.orientation)
    evaluation = dict(read_json(wishes.evaluation)) if wishes.evaluation is not None else {}
    if scores := reported_scores(models):
        evaluation["nnunet"] = scores
    files = [file for part in parts for file in part.files.values()]
    return {
        "name": wishes.name,
        "version": wishes.version,
        "intended_use": wishes.intended_use,
        "orientation": orientation,
        "labels": described_labels(meanings(labels, wishes.labels)),
        "members": [part.entry() for part in parts],
        "source": {
            "dataset": models[0].dataset_name,
            "trainer": _joined(model.trainer for model in models),
            "plans": _joined(model.plans_name for model in models),
            "checkpoint": _joined(file.name for file in files),
            "orientation": known_from,
        },
        "evaluation": finite(evaluation),
    }


def _joined(words: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _write_folds(folder: Path, part: _Part, step: Callable[[str], None]) -> tuple[int, ...]:
    """Write the weights of every fold and return the axes along which the networks may be mirrored."""
    configuration = part.model.configuration
    mirrors: set[tuple[int, ...]] = set()
    for fold, file in part.files.items():
        step(f"{configuration} fold {fold}")
        checkpoint = read_checkpoint(file)
        check_trainer(checkpoint.trainer)
        if checkpoint.configuration != configuration:
            raise ModelRefused(shortened(f"{file}: trained as {checkpoint.configuration!r}, not as {configuration}"))
        axes = tuple(sorted(checkpoint.mirror_axes))
        if len(set(axes)) != len(axes) or not set(axes) <= set(range(len(part.plan.patch_size))):
            raise ModelRefused(f"{file}: mirrored along axes that the images do not have")
        mirrors.add(axes)
        write_weights(folder / configuration / weights_name(fold), _fitted(part.plan, checkpoint, file))
    if len(mirrors) > 1:
        raise ModelRefused(f"{part.model.folder}: the folds differ in the axes along which they may be mirrored")
    return mirrors.pop()


def _fitted(plan: Plan, checkpoint: Checkpoint, file: Path) -> Weights:
    """Return each weight of a network once, in the precision of the checkpoint. Raises ModelRefused."""
    with torch.device("meta"):  # no memory before it is plain that the weights have the plan's shapes
        network = build_network(plan)
    if sum(tensor.numel() for tensor in own_weights(network).values()) > _MOST_WEIGHTS:
        raise ModelRefused(f"{file}: the plans describe a network of more than {_MOST_WEIGHTS} weights")
    weights: Weights = {}
    wanted = network.state_dict().keys()
    for name, tensor in checkpoint.weights.items():
        plain = _without_prefixes(name) if name not in wanted else name
        if plain in weights:
            raise ModelRefused(shortened(f"{file}: {plain!r} is there twice"))
        weights[plain] = tensor
    try:
        network.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelRefused(f"{file}: the weights are not those of the network that the plans describe") from error
    own = own_weights(network)
    if strange := [name for name, tensor in own.items() if not torch.isfinite(tensor).all()]:
        raise ModelRefused(f"{file}: {strange[0]} holds values that are no numbers")
    return {name: tensor.clone() for name, tensor in own.items()}


def _without_prefixes(name: str) -> str:
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), ""):
        name = name.removeprefix(prefix)
    return name
