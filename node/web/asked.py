"""What a search asks for, as it stands in an address: of the worklist, and of the API."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from node.domain.case import CaseState
from node.domain.findings import Verdict
from node.errors import InputError
from node.journal.worklist import LARGEST, Search
from node.web.access import Viewer

#: A form sends what was left empty, too.
_Empty = Literal[""]
_Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(9000, 1, 1))]
CaseNumber = Annotated[int, Field(ge=1, le=LARGEST)]
Cursor = Annotated[int, Field(ge=0, le=LARGEST)]


class SearchQuery(BaseModel):
    """What a search asks for; what is empty asks nothing."""

    model_config = ConfigDict(frozen=True)

    state: list[CaseState | _Empty] = Field(default=[], description="Any of these states.")
    verdict: list[Verdict | _Empty] = Field(default=[], description="Any of these verdicts.")
    route: list[Annotated[str, Field(max_length=64)]] = Field(default=[], description="Any of these routes.")
    since: _Day | _Empty = Field(default="", description="Opened on this day (UTC) or later.")
    until: _Day | _Empty = Field(default="", description="Opened on this day (UTC) or before.")
    text: str = Field(
        default="",
        max_length=80,
        description="The number of a case, part of the AE title of a sender, or a whole UID.",
    )
    before: Cursor | None = Field(default=None, description="Older than this case.")
    after: Cursor | None = Field(default=None, description="Newer than this case.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A search and a page of it, and how to write it into an address again."""

    search: Search
    given: SearchQuery

    def query(self, **more: object) -> str:
        """Return the search as the query of an address, with `more` behind it, without the page."""
        given = self.given.model_dump(mode="json", exclude={"before", "after"})
        pairs = [
            (name, one) for name, value in given.items() for one in (value if isinstance(value, list) else [value])
        ]
        return urlencode([(name, value) for name, value in [*pairs, *more.items()] if value not in ("", None)])


def asked(user: Viewer, given: Annotated[SearchQuery, Query()]) -> Asked:
    """Return the search of a request. Raises InputError for a text that no one can have typed."""
    text = given.text.strip()
    if not (text.isprintable() and all(name.isprintable() for name in given.route)):
        raise InputError("text and route hold letters, digits and signs only")
    search = Search(
        states=tuple(one for one in given.state if one),
        verdicts=tuple(one for one in given.verdict if one),
        routes=tuple(name for name in given.route if name),
        since=_midnight(given.since) if given.since else None,
        until=_midnight(given.until + timedelta(days=1)) if given.until else None,
        text=text,
        by_uid=user.sees_identifiers,
    )
    return Asked(search=search, given=given)


def _midnight(day: date) -> datetime:
    """Return when a day begins: in UTC, as the page shows times."""
    return datetime.combine(day, time.min, UTC)


TheSearch = Annotated[Asked, Depends(asked)]
