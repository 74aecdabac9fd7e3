"""What the sections are made of: a frozen table, and values that are checked when they are parsed."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from node.domain.identifiers import parse_ae_title
from node.errors import InvalidIdentifier


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


AETitleText = Annotated[str, AfterValidator(_ae_title)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Seconds = Annotated[float, Field(strict=True, ge=0)]
PositiveSeconds = Annotated[float, Field(strict=True, gt=0)]


class Section(BaseModel):
    """A table of the settings file: no unknown key, nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
