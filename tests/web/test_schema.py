"""The HTTP interface against what schemathesis thinks of: no 500 anywhere, and the API answers as it says."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import write_blocks
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
from wired import Node

from node.monitor.figures import FiguresOfNode
from node.operations import Operations
from node.receive.intake import Intake
from node.settings import WebSettings
from node.web import actions, case, login, worklist
from node.web.app import build_app
from node.web.site import Site

_TOKEN = "the token of a program that may do everything"
_HEADERS = {"Authorization": f"Bearer {_TOKEN}", "Host": "localhost"}
_EXAMPLES = 12


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """The application over a journal with three cases, asked by a program that may do everything."""
    folder = tmp_path_factory.mktemp("schema")
    node = Node(folder / "state")
    for name in ("one", "two", "three"):
        node.receive(write_blocks(folder / name, name=name))
        node.settle()
    (folder / "token").write_text(_TOKEN)
    web = WebSettings.model_validate(
        {"token": [{"name": "program", "token_file": folder / "token", "role": "operator", "sees_identifiers": True}]}
    )
    figures = FiguresOfNode(
        intake=Intake().counts,
        connections=lambda: 0,
        gate=lambda: None,
        engine_ready=lambda: True,
        devices=tuple,
    )
    operations = Operations(node.journal, purge=lambda _dry_run: {}, more={"figures": figures.answer})
    site = Site(settings=node.settings.model_copy(update={"web": web}), store=node.journal.store, ask=operations.answer)
    with contextlib.closing(node.journal), pytest.MonkeyPatch.context() as patched:
        for room in (login, worklist, case, actions):
            for route in room.router.routes:
                patched.setattr(route, "include_in_schema", True)  # the pages too, which are nothing for programs
        yield schemathesis.openapi.from_asgi("/api/openapi.json", build_app(site), headers=_HEADERS)


#: Values that exist, which generated ones hardly ever hit.
_KNOWN = {
    "case": [1, 2, 3],
    "action": ["retry", "hold", "release", "cancel", "reprocess", "send"],
    "name": ["seg.dcm", "findings.json", "archive", "starter"],
}
#: What need not succeed here: a provider and a peer are not configured, a password and the key of a scene are not
#: guessed, and an action fits only a few states.
_NEVER = {
    "POST /actions",
    "POST /cases/{case}/{action}",
    "POST /api/v1/cases/{case}/{action}",
    "GET /login/oidc",
    "GET /login/oidc/callback",
    "POST /login",
    "POST /peers/{ae_title}/echo",
    "GET /cases/{case}/viewer/{key}/image/{index}",
    "GET /cases/{case}/viewer/{key}/labels/{index}",
}


def test_whatever_is_sent_nothing_ends_in_a_500(http: schemathesis.BaseSchema) -> None:
    answered: dict[str, set[int]] = {}

    def ask(case: schemathesis.Case, label: str, known: dict[str, Any]) -> None:
        case.path_parameters.update({name: value for name, value in known.items() if name in case.path_parameters})
        answer = case.call(headers=_HEADERS)
        answered.setdefault(label, set()).add(answer.status_code)
        assert answer.status_code != 500, answer.text
        if case.path.startswith("/api/"):
            case.validate_response(answer, checks=[status_code_conformance, content_type_conformance])

    known = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in _KNOWN.items()})
    for found in http.get_all_operations():
        operation = found.ok()
        asking = given(case=operation.as_strategy(), label=st.just(operation.label), known=known)(ask)
        settings(max_examples=_EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck))(asking)()
    assert {label for label, statuses in answered.items() if not statuses & {200, 204, 303}} <= _NEVER
    assert len(answered) > 30


def test_the_schema_names_the_whole_api(http: schemathesis.BaseSchema) -> None:
    paths = set(http.raw_schema["paths"])
    assert {"/api/v1/cases", "/api/v1/cases/{case}", "/metrics", "/livez", "/readyz", "/routes/test"} <= paths
