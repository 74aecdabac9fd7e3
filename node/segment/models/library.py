"""The bundles that a site has imported: one folder, a subfolder for each, named as the settings name it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from node.errors import BundleError
from node.segment.bundle import MANIFEST

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: The settings' name of the bundle that ships with the node.
_TAKEN = frozenset({"starter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The bundles in `folder`, which need not be there yet."""

    folder: Path

    def names(self) -> list[str]:
        """Return the name of every bundle, sorted; none of them has been verified."""
        if not self.folder.is_dir():
            return []
        return sorted(
            path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and (path / MANIFEST).is_file()
        )

    def place(self, name: str) -> Path:
        """Return the folder that a bundle of this name has or would have. Raises BundleError for a name of no bundle.

        >>> Library(folder=Path("models")).place("neck-2").as_posix()
        'models/neck-2'
        """
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise BundleError(
                f"{name!r}: not the name of a bundle: 1 to 64 letters, digits, dots, hyphens and underscores, the "
                "first a letter or digit, and not 'starter'"
            )
        return self.folder / name

    def find(self, name: str) -> Path:
        """Return the folder of the bundle of this name, unverified. Raises BundleError."""
        folder = self.place(name)
        if not (folder / MANIFEST).is_file():
            raise BundleError(f"no bundle is named {name!r} in {self.folder}")
        return folder

    def remove(self, name: str) -> None:
        """Delete a bundle. It leaves its name first, so that nobody finds a half. Raises BundleError, OSError."""
        folder = self.find(name)
        if folder.is_symlink():
            folder.unlink()
            return
        hidden = folder.with_name(f".{name}.removed")
        if hidden.exists():
            shutil.rmtree(hidden)
        folder.rename(hidden)
        shutil.rmtree(hidden)
