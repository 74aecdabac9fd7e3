"""What the labels of a trained model mean: by the names that its data set gives them, or as the importer says."""

import re
from collections.abc import Mapping

from node.domain.anatomy import StructureKind
from node.errors import ModelRefused
from node.segment.models.planfile import shortened

#: Names with neither case, blanks, hyphens nor underscores. CSpineSeg's own are "vertebrae" and "inter-vetebral disc".
_NAMES: Mapping[StructureKind, frozenset[str]] = {
    StructureKind.VERTEBRAL_BODY: frozenset(
        {
            "vertebra",
            "vertebrae",
            "vertebras",
            "vertebralbody",
            "vertebralbodies",
            "vertebrabody",
            "vertebraebody",
            "vertebraebodies",
            "body",
            "bodies",
            "vb",
            "vbs",
        }
    ),
    StructureKind.INTERVERTEBRAL_DISC: frozenset(
        {
            *(f"{word}{end}" for word in ("disc", "disk") for end in ("", "s")),
            *(
                f"{before}{word}{end}"
                for before in ("intervertebral", "intervetebral", "intervertebrate", "vertebral", "spinal", "iv")
                for word in ("disc", "disk")
                for end in ("", "s")
            ),
            "ivd",
            "ivds",
        }
    ),
}
_NO_STRUCTURE = frozenset({"background", "ignore"})


def meanings(labels: Mapping[str, int], said: Mapping[int, StructureKind] | None = None) -> dict[int, StructureKind]:
    """Return what each label value means, background and ignore left out.

    `labels`: name -> value, as dataset.json has them; `said`: what the importer says, which goes before any name.
    Raises ModelRefused when a label is not known, when two mean the same, or when `said` speaks of no label.

    >>> meanings({"background": 0, "vertebrae": 1, "inter-vetebral disc": 2})[2].value
    'intervertebral_disc'
    """
    said = said or {}
    names = {value: name for name, value in labels.items() if name not in _NO_STRUCTURE}
    if strange := sorted(said.keys() - names.keys()):
        raise ModelRefused(f"--label {strange[0]}: the model has no such label, only {_listed(names)}")
    found: dict[int, StructureKind] = {}
    for value, name in sorted(names.items()):
        kind = said.get(value) or _kind(name)
        if kind is None:
            kinds = " or ".join(f"--label {value}={known.value}" for known in StructureKind)
            raise ModelRefused(shortened(f"label {value} is {name!r}, which is not known here; say {kinds}"))
        if kind in found.values():
            raise ModelRefused(shortened(f"label {value}, {name!r}: another label means {kind.value} already"))
        found[value] = kind
    return found


def _kind(name: str) -> StructureKind | None:
    plain = re.sub(r"[\s_\-./]+", "", name.casefold())
    return next((kind for kind, names in _NAMES.items() if plain in names), None)


def _listed(names: Mapping[int, str]) -> str:
    return shortened(", ".join(f"{value} {name!r}" for value, name in sorted(names.items())))
