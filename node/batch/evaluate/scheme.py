"""What the values of a label map stand for, as data: a TOML file for each scheme, in `schemes/` or a user's own.

    name = "cspineseg"                          names it in results
    title = "..."                               one line for readers
    source = "..."                              where it is defined
    ignore = [100]                              values that are taken for background
    class = [                                   one label each
      { name = "vertebrae", values = [1], kind = "vertebral_body" },
    ]
    mean = [{ name = "macro", of = ["*"] }]     averages over classes; `of`: names or patterns ("T*")
    union = [{ name = "spine", of = ["*"] }]    several classes as one region
    detect = [{ name = "vertebrae", of = ["vertebrae"], by = "components" }]
    paper = { discs = "discs" }                 where the figures of the CSpineSeg paper are wanted

`kind` ("vertebral_body", "intervertebral_disc"): the class holds many structures that `node.measure` can name; Dice by
level is computed where such classes are. `by`: what a structure is, a connected component ("components") or each class
("classes"). A value that is neither of a class nor ignored is an error in the label map, not background.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from node.domain.anatomy import StructureKind
from node.errors import InputError, SettingsError
from node.settings.values import Section

_FOLDER = Path(__file__).parent / "schemes"

Name = Annotated[str, Field(min_length=1, max_length=64)]
Value = Annotated[int, Field(strict=True, ge=1, le=65535)]


class Named(Section):
    """What has a name in results."""

    name: Name


class ClassLabel(Named):
    """One label: the values that stand for it, and what kind of structures it holds."""

    values: Annotated[tuple[Value, ...], Field(min_length=1)]
    kind: StructureKind | None = None


class Several(Named):
    """Several classes: averaged, or as one region."""

    of: Annotated[tuple[Name, ...], Field(min_length=1)]


class Detected(Several):
    """Several classes whose structures are counted."""

    by: Literal["components", "classes"]


class Paper(Section):
    """The figures of the CSpineSeg paper; `discs`: the class whose components are the discs."""

    discs: Name


class Scheme(Section):
    """A label scheme. Classes are numbered from 1 in their order; `indices` leads there from the values of a map."""

    name: Name
    title: str = ""
    source: str = ""
    ignore: tuple[Value, ...] = ()
    classes: Annotated[tuple[ClassLabel, ...], Field(alias="class", min_length=1, max_length=250)]
    mean: tuple[Several, ...] = ()
    union: tuple[Several, ...] = ()
    detect: tuple[Detected, ...] = ()
    paper: Paper | None = None

    @model_validator(mode="after")
    def _agree(self) -> "Scheme":
        values = [*self.ignore, *(value for one in self.classes for value in one.values)]
        complaints: list[str] = [f"class: the value {value} stands there twice" for value in _twice(values)]
        named: tuple[Named, ...] = (*self.classes, *self.mean, *self.union)
        names = [one.name for one in named]
        complaints += [f"the name {name!r} stands there twice" for name in _twice(names)]
        complaints += [
            f"detect: the name {name!r} stands there twice" for name in _twice([d.name for d in self.detect])
        ]
        complaints += [
            f"{one.name}: no class is called {pattern!r}"
            for one in (*self.mean, *self.union, *self.detect)
            for pattern in one.of
            if not any(fnmatchcase(known.name, pattern) for known in self.classes)
        ]
        if self.paper and self.paper.discs not in {one.name for one in self.classes}:
            complaints.append(f"paper.discs: no class is called {self.paper.discs!r}")
        if complaints:
            raise ValueError("\n".join(complaints))
        return self

    def members(self, several: Several) -> tuple[str, ...]:
        """Return the names of the classes that `several` is about, in the order of the scheme."""
        return tuple(one.name for one in self.classes if any(fnmatchcase(one.name, pattern) for pattern in several.of))

    def number(self, name: str) -> int:
        """Return the number of a class, from 1. Raises StopIteration for a name that is none."""
        return next(number for number, one in enumerate(self.classes, start=1) if one.name == name)

    def indices(self, labels: NDArray[np.uint16], whose: str) -> NDArray[np.uint8]:
        """Return for each voxel of a label map the number of its class, 0 for background and what is ignored.

        Raises InputError, naming `whose` map it is, for a value that the scheme does not know.
        """
        table = np.full(65536, 255, dtype=np.uint8)
        table[[0, *self.ignore]] = 0
        for number, one in enumerate(self.classes, start=1):
            table[list(one.values)] = number
        numbers = table[labels]
        if (numbers == 255).any():
            unknown = ", ".join(str(value) for value in np.unique(labels[numbers == 255])[:5])
            raise InputError(f"the {whose} has values that the scheme {self.name} does not know: {unknown}")
        return numbers

    def value_of_kind(self, kind: StructureKind) -> int:
        """Return the first value of the class of a kind. Raises InputError where no class has it."""
        found = next((one for one in self.classes if one.kind is kind), None)
        if found is None:
            raise InputError(f"the scheme {self.name} has no class of the kind {kind.value}")
        return found.values[0]


def known_schemes() -> tuple[str, ...]:
    """Return the names of the schemes that come with the node."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_scheme(name: str) -> Scheme:
    """Return a scheme by its name, or from a file of one's own by its path (ending in ".toml").

    Raises SettingsError for a name that is none and for a file that is missing or wrong.
    """
    if name in known_schemes():
        return _parsed(_FOLDER / f"{name}.toml")
    if not name.endswith(".toml"):
        raise SettingsError(
            f"no label scheme is called {name!r}; there are {', '.join(known_schemes())}, or a .toml file"
        )
    return _parsed(Path(name))


def _parsed(path: Path) -> Scheme:
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Scheme.model_validate(values)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}".removeprefix(": ") for one in error.errors()
        ]
        raise SettingsError("\n".join([f"{path}: no label scheme", *lines])) from error


def _twice(values: Iterable[Any]) -> list[Any]:
    """Return what stands more than once in `values`, each once."""
    return [value for value, count in Counter(values).items() if count > 1]
