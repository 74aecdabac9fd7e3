"""Pages out of templates."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from node import __version__
from node.web import amounts, telling
from node.web.access import Caller, shown_uid

STATIC = Path(__file__).with_name("static")

#: What the navigation leads to: a path, and its name.
NAVIGATION = (
    ("/", "Worklist"),
    ("/routes", "Routes"),
    ("/peers", "Destinations"),
    ("/models", "Models"),
    ("/system", "System"),
)


@cache
def static_url(name: str) -> str:
    """Return the address of a file in `static/`, which changes with its content, so that browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@pass_context
def _csrf_field(context: Context) -> Markup:
    """Return the hidden field that every form of method POST needs."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(context["csrf_token"])


@pass_context
def _uid(context: Context, uid: str) -> str:
    """Return a UID as whoever looks may see it: `{{ case.series_uid | uid }}`."""
    return shown_uid(context["user"], uid)


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(csrf_field=_csrf_field, static_url=static_url, navigation=NAVIGATION, version=__version__)
_TEMPLATES.filters.update(uid=_uid, age=amounts.age, bytes=amounts.bytes_, moment=amounts.moment)
_TEMPLATES.filters.update(tone=telling.tone, span=telling.span)


def page(request: Request, template: str, /, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """Return a template as a page.

    It sees `request`, `user` (None where nobody is signed in), `csrf_token`, `signed_in` (whether there is something to
    sign out of) and what is `shown`.
    """
    caller = request.scope.get("state", {}).get("caller", Caller())
    known = {"user": caller.user, "csrf_token": caller.csrf_token, "signed_in": caller.signed_in}
    return HTMLResponse(_TEMPLATES.get_template(template).render(request=request, **known, **shown), status)
