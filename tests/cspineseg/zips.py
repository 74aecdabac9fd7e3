"""Zips, sound and hostile. All entries have one date, so that the same content gives the same bytes."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

_DATE = (2025, 3, 21, 0, 0, 0)
_ENCRYPTED = 0x1
_CLAIMED = 64 << 30


def zipped(content: Mapping[str, bytes], *, compressed: bool = True) -> bytes:
    """Return a zip of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(_entry(name, compressed=compressed), data, compresslevel=1 if compressed else None)
    return buffer.getvalue()


def write_zip(path: Path, content: Mapping[str, bytes]) -> None:
    """Write a zip of files by name, stored: what is in it is compressed already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(_entry(name, compressed=name.endswith((".tsv", ".dcm"))), data)


def claiming_much(content: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files and of zeros that it says are 64 GiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(_entry(name, compressed=True), data, compresslevel=1)
        archive.writestr(_entry("1-99.dcm", compressed=True), bytes(1 << 22), compresslevel=9)
        archive.filelist[-1].file_size = _CLAIMED
    return buffer.getvalue()


def encrypted(archive: bytes) -> bytes:
    """Return the zip with each entry marked as encrypted (APPNOTE.TXT 4.4.4, bit 0), as no reader can open it."""
    changed = bytearray(archive)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = changed.find(signature)
        while start >= 0:
            changed[start + at] |= _ENCRYPTED
            start = changed.find(signature, start + 4)
    return bytes(changed)


def _entry(name: str, *, compressed: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    entry.external_attr = 0o644 << 16
    return entry


def made_elsewhere(archive: bytes) -> bytes:
    """Return a zip as sound and as long, which says in one byte that another version made it."""
    changed = bytearray(archive)
    changed[changed.rfind(b"PK\x01\x02") + 4] ^= 0x1
    return bytes(changed)
