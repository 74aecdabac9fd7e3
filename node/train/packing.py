"""Makes the bundle of what was trained: measured once, described in full, imported like anybody's model."""

import hashlib
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from node import __version__
from node.durable import write_durably
from node.errors import InputError
from node.segment.models.exporting import folder_name
from node.segment.models.importing import ImportWishes, import_model
from node.segment.models.modelfolder import FINAL
from node.train.cases import ORIENTATION
from node.train.curve import read_curve
from node.train.evaluation import evaluate, evaluate_lumbar
from node.train.lumbar import TRAINING
from node.train.modelcard import write_card
from node.train.modelfolder import CONFIGURATIONS
from node.train.plans import Json
from node.train.recipe import Recipe

_REAL = {
    "volume",
    "bodies_expected",
    "bodies_found_once",
    "discs_expected",
    "discs_found_once",
    "outside_share",
    "names_right",
    "verdict",
}


def measured(folders: Path, recipe: Recipe, say: Callable[[str], None]) -> Json:
    """Return the figures of the models in `folders` on phantoms, and on lumbar slices where the recipe has them.

    What was measured of the same weights before is read from the file beside `folders`.
    """
    file = folders.parent / "evaluation.json"
    asked = {
        "weights": _digest(folders),
        "seeds": [recipe.test_seeds.start, recipe.test_seeds.stop],
        "lumbar": recipe.lumbar is not None,
    }
    if file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return dict(known["figures"])
    say(f"measuring on {recipe.test_cases} phantoms never trained on")
    figures = evaluate(folders, recipe.test_seeds, recipe.device)
    if recipe.lumbar is not None:
        say("measuring on the lumbar slices that are kept apart")
        figures["lumbar"] = evaluate_lumbar(folders, recipe.lumbar, recipe.device)
    write_durably(file, [_text({"asked": asked, "figures": figures})])
    return figures


def described(recipe: Recipe, fitted: dict[str, Json]) -> Json:
    """Return what the models were trained on, how, and with which versions."""
    return {
        "phantoms": recipe.cases,
        "seed": recipe.seed,
        "fitted": fitted,
        "learning_rate": recipe.learning_rate,
        "batch": {"2d": recipe.batch_2d, "3d_fullres": recipe.batch_3d},
        "overlap": recipe.overlap,
        "lumbar_slices": list(TRAINING) if recipe.lumbar is not None else [],
        "device": recipe.device,
        "versions": {
            "cspine-node": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "nnunetv2", "numpy")},
        },
    }


def real_figures(path: Path) -> list[Json]:
    """Return figures on real volumes: a JSON list of objects. Raises InputError when a field is missing."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        lacking = sorted({name for row in rows for name in _REAL - row.keys()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no JSON list of figures: {type(error).__name__}") from error
    if lacking:
        raise InputError(f"{path}: without {', '.join(lacking)}")
    return list(rows)


def pack(out: Path, folders: Path, evaluation: Json, number: str) -> None:
    """Write the bundle `out` of the models in `folders`, with its card. Raises BundleError."""
    curves = {name: read_curve(folders.parent / f"{name}_curve.tsv") for name in CONFIGURATIONS}
    evaluation["curve"] = {
        name: [
            {
                "step": look.step,
                "minutes": round(look.minutes, 1),
                "bodies": round(look.dice_bodies, 4),
                "discs": round(look.dice_discs, 4),
            }
            for look in looks
        ]
        for name, looks in curves.items()
    }
    figures, card = folders.parent / "figures.json", folders.parent / "MODEL_CARD.md"
    write_durably(figures, [_text(evaluation)])
    write_card(card, evaluation, number)
    few = " and a few lumbar slices" if evaluation["training"]["lumbar_slices"] else ""
    wishes = ImportWishes(
        name="cspine-starter",
        version=number,
        intended_use=f"Demonstration only, trained on generated images{few}. Not for clinical use.",
        orientation=ORIENTATION,
        evaluation=figures,
        card=card,
    )
    import_model(folders, out, wishes)


def _digest(folders: Path) -> str:
    files = [folders / folder_name(name) / "fold_0" / FINAL for name in CONFIGURATIONS]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _text(content: Json) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode("utf-8")
