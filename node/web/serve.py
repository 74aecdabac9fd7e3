"""The application on a port, by uvicorn."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from node.errors import SettingsError, SystemFailed
from node.settings import WebSettings
from node.web.pulse import beat

#: Seconds that requests which have begun, and pages that are kept up to date, have when the server ends.
_LINGER_S = 5
_BACKLOG = 128
#: Requests at a time; one more is answered 503.
_AT_A_TIME = 200
#: Seconds that the head of a request may take: connections that say nothing must not keep others out.
_HEAD_S = 10.0


class WebServer:
    """Serves an application. Raises SystemFailed where the port cannot be had, SettingsError for bad TLS files."""

    def __init__(self, app: FastAPI, web: WebSettings) -> None:
        config = uvicorn.Config(
            app,
            http=_Hurried,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(web.proxies),
            forwarded_allow_ips=[str(network) for network in web.proxies],
            ssl_certfile=web.tls.certificate if web.tls else None,
            ssl_keyfile=web.tls.key if web.tls else None,
            limit_concurrency=_AT_A_TIME,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_LINGER_S,
        )
        _silence()
        try:
            config.load()
        except (ssl.SSLError, OSError) as error:
            raise SettingsError("web.tls: certificate and key cannot be read, or do not belong together") from error
        self._app = app
        self._server = _Server(config)
        self._socket = _listening(web)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    def run(self, alive: Callable[[], None] = lambda: None, *, every_s: float = 10.0) -> None:
        """Serve until `stop`; call `alive` at once and every `every_s` seconds, for as long as the page answers."""
        with contextlib.closing(self._socket):
            asyncio.run(self._serve(alive, every_s))

    async def _serve(self, alive: Callable[[], None], every_s: float) -> None:
        pulse = asyncio.create_task(beat(self._app, alive, every_s))
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            pulse.cancel()

    def stop(self) -> None:
        """Take no more requests, and let `run` end. May be called from any thread, or a signal handler."""
        self._server.should_exit = True


class _Hurried(H11Protocol):
    """A connection that is ended when the head of a request does not come in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; wait on where it is part of a head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._answers():
            self._wait_no_longer()
        elif self._late is None:
            self._late = self.loop.call_later(_HEAD_S, self._end)

    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end(self) -> None:
        self._late = None
        if not self._answers():
            self.timeout_keep_alive_handler()

    def _wait_no_longer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """One that leaves signals to who runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _listening(web: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((web.host, web.port))
    except OSError as error:
        listener.close()
        raise SystemFailed(f"web: {web.host}:{web.port} cannot be listened on: {error.strerror}") from error
    listener.listen(_BACKLOG)
    return listener


def _silence() -> None:
    """Keep the libraries out of the logs: what they say of a request may hold what somebody typed."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "authlib", "httpx2", "httpcore2", "asyncio"):
        library = logging.getLogger(name)
        library.handlers = [logging.NullHandler()]
        library.propagate = False
