"""What the sections are made of: a frozen table, and values that are checked when they are parsed."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from node.domain.identifiers import parse_ae_title
from node.errors import InvalidIdentifier

#: In front of the name of a credential that systemd hands a service (systemd.exec(5), LoadCredential=).
CREDENTIAL = "credential:"
_CREDENTIAL_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}")


def _ae_title(text: str) -> str:
    try:
        return parse_ae_title(text)
    except InvalidIdentifier as error:
        raise ValueError(str(error)) from error


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _secret_file(path: Path) -> Path:
    text = str(path)
    if text.startswith(CREDENTIAL) and not _CREDENTIAL_NAME.fullmatch(text.removeprefix(CREDENTIAL)):
        raise ValueError(f"after {CREDENTIAL} stands the name of a credential: letters, digits, '.', '_' and '-'")
    return path


def file_place(path: Path, folder: Path, credentials: Path | None) -> Path:
    """Return where a file of the settings is: a relative path starts at `folder`, a credential at `credentials`.

    A credential stays as it is where there is no folder of credentials: only a service has one, and a command beside it
    may not need the file. Raises RuntimeError for the home folder of an unknown user.
    """
    if not str(path).startswith(CREDENTIAL):
        return folder / path.expanduser()
    return path if credentials is None else credentials / str(path).removeprefix(CREDENTIAL)


AETitleText = Annotated[str, AfterValidator(_ae_title)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Seconds = Annotated[float, Field(strict=True, ge=0)]
#: A file with a key, a password or a token: a path, or "credential:NAME".
SecretFile = Annotated[Path, AfterValidator(_secret_file)]
PositiveSeconds = Annotated[float, Field(strict=True, gt=0)]


class Section(BaseModel):
    """A table of the settings file: no unknown key, nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
