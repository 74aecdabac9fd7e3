"""What an operator can do about cases, asked for as a document and answered by one: by a command itself, or through the
node that runs (`node.control`).

A request: do ("retry", "hold", "release", "cancel", "reprocess", "send"), cases[] (numbers), series[] (Series Instance
UIDs, each meaning its newest case), destination (the name of one, to send to), by (who asks, where somebody is signed
in: it goes into the audit trail), with it since (the number of an event: what has been asked for after it is not tried
once more, so that whoever got no answer may ask again); or do "purge" and dry_run. An answer: cases[] with case and
was, state or error; or purged; and exit_code, that of the first error. What else can be asked for (`more`: figures,
pull, ...) belongs to other rooms, and each says in its own file what is asked and answered.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from node.domain.case import CaseState, Order, Wanted
from node.domain.identifiers import parse_uid
from node.encode.objects import needed_of
from node.errors import IllegalTransition, InputError, NodeError, UnknownCase
from node.journal.journal import Journal
from node.journal.lookup import Asked, destinations_of, newest_case, record_request, state_of
from node.journal.operators import Forms
from node.log import get_logger

_PURGE, _SEND = "purge", "send"
#: Characters of a name that go into the audit trail.
_LONGEST_NAME = 64

Document = Mapping[str, Any]


class Operations:
    """The actions over one journal.

    `purge` deletes what retention says, or with True only counts it. `on_change` is called after a change, to wake who
    waits for work; `on_retry` with each destination that a retried, released or sent case waits for, to end its pause.
    `destinations`: the forms that each takes.
    """

    def __init__(
        self,
        journal: Journal,
        destinations: Mapping[str, Wanted] = MappingProxyType({}),
        *,
        purge: Callable[[bool], Document],
        on_change: Callable[[], None] = lambda: None,
        on_retry: Callable[[str], None] = lambda _destination: None,
        more: Mapping[str, Callable[[Document], Document]] = MappingProxyType({}),
    ) -> None:
        self._journal = journal
        self._forms = {name: _forms_of(wanted) for name, wanted in destinations.items()}
        self._purge = purge
        self._on_change = on_change
        self._on_retry = on_retry
        self._more = more
        cases = journal.cases
        self._actions: Mapping[str, Callable[[int], CaseState]] = {
            "retry": cases.retry,
            "hold": cases.hold,
            "release": cases.release,
            "cancel": cases.cancel,
            "reprocess": cases.reprocess,
        }

    def answer(self, request: Document) -> Document:
        """Do what a request asks for. Raises InputError for what is no request, JournalError, OSError."""
        action = request.get("do")
        if action == _PURGE:
            return {"purged": self._purge(_flag(request, "dry_run")), "exit_code": 0}
        if isinstance(action, str) and action in self._more:
            return {"exit_code": 0, **self._more[action](request)}
        if action == _SEND:
            return self._on_cases(action, self._sending(request), request)
        if not isinstance(action, str) or action not in self._actions:
            raise InputError("the request asks for nothing that there is")
        return self._on_cases(action, self._actions[action], request)

    def _sending(self, request: Document) -> Callable[[int], CaseState]:
        """Return the step that sends a case where the request says. Raises InputError."""
        destination = request.get("destination")
        if not isinstance(destination, str) or destination not in self._forms:
            raise InputError("the request names no destination of the settings")
        return lambda case_id: self._journal.cases.send(case_id, destination, self._forms[destination])

    def _on_cases(self, action: str, step: Callable[[int], CaseState], request: Document) -> Document:
        done: list[Document] = []
        asked = _asked(action, request)
        exit_code = 0
        for case in self._cases(request):
            try:
                done.append(self._on_case(action, step, case, asked))
            except NodeError as error:
                named = {"series_uid": case} if isinstance(case, str) else {"case": case}
                done.append(
                    {**named, "error": {"code": error.code, "message": str(error), "retryable": error.retryable}}
                )
                exit_code = exit_code or error.exit_code
        if any("state" in item for item in done):
            self._on_change()
        return {"cases": done, "exit_code": exit_code}

    def _on_case(self, action: str, step: Callable[[int], CaseState], case: int | str, asked: Asked | None) -> Document:
        """Do `action` on a case, given by its number or its series. Raises JournalError."""
        case_id = self._newest(case) if isinstance(case, str) else case
        was = state_of(self._journal.store, case_id)
        if asked is not None and not record_request(self._journal.store, case_id, asked):
            raise IllegalTransition(f"{action} was asked for case {case_id} before; its history says what followed")
        state = step(case_id)
        if state is CaseState.SENDING:
            for destination in destinations_of(self._journal.store, case_id):
                self._on_retry(destination)
        get_logger().info("operator", action=action, case=case_id, was=was.value, state=state.value)
        return {"case": case_id, "was": was.value, "state": state.value}

    def _newest(self, series_uid: str) -> int:
        case_id = newest_case(self._journal.store, series_uid)
        if case_id is None:
            raise UnknownCase("the journal has no case of this series")
        return case_id

    @staticmethod
    def _cases(request: Document) -> Iterator[int | str]:
        """Yield what is meant, each once, in its order. Raises InputError."""
        cases, series = _listed(request, "cases", int), _listed(request, "series", str)
        if not (cases or series):
            raise InputError("the request names no case")
        yield from dict.fromkeys([*cases, *(parse_uid(uid) for uid in series)])


def _forms_of(wanted: Wanted) -> Forms:
    """Return the names of the results that a destination takes."""
    order = Order(wanted=frozenset({wanted}))
    usable, rejected = (
        frozenset(made.stem for made in needed_of(order, found=True, rejected=is_rejected) if made.wanted)
        for is_rejected in (False, True)
    )
    return Forms(usable=usable, rejected=rejected)


def _asked(action: str, request: Document) -> Asked | None:
    """Return who asks for what, None where nobody is signed in. Raises InputError."""
    by, since = request.get("by"), request.get("since")
    if by is None:
        return None
    if not (isinstance(by, str) and by.isprintable() and len(by) <= _LONGEST_NAME):
        raise InputError("by of the request is no name")
    if since is not None and type(since) is not int:
        raise InputError("since of the request is no number of an event")
    return Asked(action=action, destination=request.get("destination"), by=by, since=since)


def _listed(request: Document, key: str, kind: type) -> Sequence[Any]:
    items = request.get(key, [])
    if not isinstance(items, list) or not all(type(item) is kind for item in items):
        raise InputError(f"{key} of the request is no list of what it should be")
    return items


def _flag(request: Document, key: str) -> bool:
    value = request.get(key, False)
    if not isinstance(value, bool):
        raise InputError(f"{key} of the request is neither true nor false")
    return value
