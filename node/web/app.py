"""The application: every page, behind the gate."""

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware import Middleware

from node import __version__
from node.web import (
    actions,
    api,
    case,
    health,
    login,
    metrics,
    models,
    peers,
    routes,
    system,
    viewer,
    worklist,
)
from node.web.access import Role, User
from node.web.audit import Audit
from node.web.csrf import same_site
from node.web.failures import answer_errors
from node.web.gate import Gate
from node.web.headers import Headers
from node.web.login import SignIn, sign_in_cookie
from node.web.render import STATIC
from node.web.scenes import Scenes
from node.web.sessions import Sessions
from node.web.site import Site
from node.web.tokens import bearers_of

_PAGES = (login, worklist, case, actions, api, viewer, peers, routes, models, system, metrics, health)


def build_app(site: Site) -> FastAPI:
    """Return the application over `site`. Raises SettingsError for a password or token file that cannot be used."""
    web = site.settings.web
    sessions = Sessions(idle_s=web.idle_s, total_s=web.session_s)
    everybody = User(
        name="loopback",
        role=Role(web.loopback_role),
        sees_identifiers=web.loopback_sees_identifiers,
        uid_key=site.uid_key,
    )
    bearers = bearers_of(web, site.uid_key)
    app = FastAPI(
        title="cspine-node",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        dependencies=[Depends(same_site)],
        middleware=[
            Middleware(Headers, secure=web.secure),
            Middleware(Audit),
            sign_in_cookie(web),
            Middleware(Gate, web=web, sessions=sessions, bearers=bearers, everybody=everybody),
        ],
    )
    app.state.site = site
    app.state.scenes = Scenes(site.store, site.settings.node.state_dir)
    app.state.sign_in = SignIn.of(web, sessions, site.uid_key)
    answer_errors(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for room in _PAGES:
        app.include_router(room.router)
    return app
