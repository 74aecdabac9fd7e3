"""The files that the settings name: certificates and for how long they hold, keys, passwords, and who may read them."""

import ssl
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from node.doctor.finding import Finding, fault, fine, warning
from node.doctor.folders import whoami
from node.settings import Section, Settings
from node.settings.values import CREDENTIAL

_SOON = timedelta(days=30)
_CERTIFICATES = frozenset({"certificate", "authorities"})


def look(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield what is wrong with each file that a section names, and until when each certificate holds."""
    for key, section in _sections(settings, ""):
        files = {name: value for name, value in section if isinstance(value, Path) and _is_secret_or_shown(name)}
        for name, path in files.items():
            yield from _file(f"{key}.{name}", name, path, now)
        yield from _pair(key, files)


def _sections(section: Section, key: str) -> Iterator[tuple[str, Section]]:
    """Yield every section with the path of its key."""
    for name, value in section:
        place = f"{key}.{name}" if key else name
        if isinstance(value, Section):
            yield place, value
            yield from _sections(value, place)
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                if isinstance(item, Section):
                    yield f"{place}[{number}]", item
                    yield from _sections(item, f"{place}[{number}]")


def _is_secret_or_shown(name: str) -> bool:
    return name in _CERTIFICATES or _is_secret(name)


def _is_secret(name: str) -> bool:
    return name == "key" or name.endswith("_file")


def _file(area: str, name: str, path: Path, now: datetime) -> Iterator[Finding]:
    if str(path).startswith(CREDENTIAL):
        yield fine(area, f"{path} comes from systemd when the service starts; it was not looked at")
        return
    try:
        content, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        yield fault(
            area,
            f"{path} cannot be read: {error.strerror}",
            f"put it there, readable by {whoami()}",
        )
        return
    if not _is_secret(name):
        yield from _certificates(area, path, content, now)
    elif not content.strip():
        yield fault(area, f"{path} is empty", "write the secret into it")
    elif mode & stat.S_IRWXO:
        yield warning(area, f"everybody on this machine may read {path}", f"chmod 600 {path}")
    else:
        yield fine(area, f"{path} can be read, and not by everybody")


def _certificates(area: str, path: Path, content: bytes, now: datetime) -> Iterator[Finding]:
    """Yield the finding of the certificate of a file that ends first."""
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        yield fault(area, f"{path} holds no certificate", "it must be PEM: openssl x509 -in FILE -text shows one")
        return
    first = min(found, key=lambda certificate: certificate.not_valid_after_utc)
    yield validity(area, first.not_valid_before_utc, first.not_valid_after_utc, now)


def validity(area: str, begins: datetime, ends: datetime, now: datetime) -> Finding:
    """Return the finding of a certificate that holds from `begins` to `ends`."""
    if now > ends:
        return fault(area, f"ended on {ends:%Y-%m-%d}: TLS with it fails", "have it renewed, and restart the node")
    if now < begins:
        return fault(area, f"begins on {begins:%Y-%m-%d} only", "look at the clock of this machine, or have it renewed")
    if ends - now < _SOON:
        return warning(area, f"ends on {ends:%Y-%m-%d}, in {(ends - now).days} days", "have it renewed in time")
    return fine(area, f"holds until {ends:%Y-%m-%d}")


def _pair(area: str, files: Mapping[str, Path]) -> Iterator[Finding]:
    """Yield whether key and certificate of a section are not one pair; files that are missing were told of before."""
    if not {"certificate", "key"} <= files.keys() or not all(path.is_file() for path in files.values()):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files["certificate"], files["key"], password=str)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        yield fault(area, f"key and certificate are not one pair: {reason}", "give the key that the certificate is for")
