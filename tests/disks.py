"""Real disks that are small, to be filled."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from peers import missing


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int = 3) -> Iterator[Path]:
    """Give a disk of so many megabytes (tmpfs), mounted at a new folder; skips loudly where it cannot be made."""
    folder.mkdir()
    if os.geteuid() != 0:
        missing("root, to mount a small disk")
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "none"]
    if subprocess.run(["mount", *options, folder], check=False).returncode:
        missing("mount, for a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(file: Path) -> None:
    """Write to a file until the disk is full."""
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as opened:
        for size in (4096, 512, 1):
            with contextlib.suppress(OSError):
                while opened.write(bytes(size)) == size:
                    pass
