"""The live view: a small local server that only reads, and shows runs by the code that writes reports.

Werkzeug serves it: it comes with TensorBoard, which recgym needs anyhow, and has no assets of its own; scripts and
styles are those of the reports, Plotly's is the one inside the plotly package.
"""

import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from recgym.report.compare import overview
from recgym.report.document import Report
from recgym.report.html import HOME, asset, render_live, render_site
from recgym.report.pages import report_of
from recgym.report.runs import Found, Run, Runs

__all__ = ["LiveView", "export_page", "serve"]

_ASSETS = {"plotly.js": "text/javascript", "report.js": "text/javascript", "report.css": "text/css"}
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class LiveView:
    """The pages of some folders, as a WSGI application. It reads only what :class:`Runs` finds, and writes nothing.

    Args:
        folders: of runs, or that hold such folders.
        hosts: names under which it may be asked for, ports aside; pages of other sites, which could point a name of
            their own to this machine, get nothing. None for any.

    Raises:
        ValueError: a folder does not exist.
    """

    def __init__(self, folders: Sequence[Path], hosts: Sequence[str] | None = _LOCAL) -> None:
        self._runs = Runs(folders)
        self._title = f"Runs in {', '.join(folder.resolve().name for folder in folders)}"
        self._hosts = None if hosts is None else frozenset(hosts)
        self._urls = Map([
            Rule("/", endpoint="home", methods=["GET"]),
            Rule("/run/<path:name>", endpoint="run", methods=["GET"]),
            *(Rule(f"/{name}", endpoint="asset", defaults={"name": name}, methods=["GET"]) for name in _ASSETS),
        ])  # fmt: skip
        self._looking = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request; see PEP 3333."""
        request = Request(environ)
        response = self._answer(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        body: Iterable[bytes] = response(environ, start_response)
        return body

    def _answer(self, request: Request) -> Any:
        if self._hosts is not None and request.host.rsplit(":", 1)[0] not in self._hosts:
            return Response("this view answers to its own machine only\n", 403)
        try:
            endpoint, values = self._urls.bind_to_environ(request.environ).match()
            if endpoint == "asset":
                return self._asset(request, values["name"])
            return self._page(request, values.get("name"))
        except HTTPException as error:
            return error.get_response(request.environ)

    def _asset(self, request: Request, name: str) -> Response:
        response = Response(asset(name), mimetype=_ASSETS[name])
        response.add_etag()
        response.headers["Cache-Control"] = "no-cache"
        return response.make_conditional(request)

    def _page(self, request: Request, name: str | None) -> Response:
        with self._looking:  # requests come in threads, and what was read is kept between them
            found = self._runs.look()
        response = Response(mimetype="text/html")
        response.set_etag(found.version)
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        if response.status_code != 304:  # nothing is drawn for a page that the browser has
            version = response.headers["ETag"]
            if name is None:
                page = overview(found, self._title, lambda run: f"/run/{quote(run.name)}")
                response.set_data(render_live(page, version))
            else:
                response.set_data(render_live(_of(found, name), version, "/"))
        return response


def serve(view: LiveView, host: str, port: int) -> BaseWSGIServer:
    """A server that is bound and answers as soon as its ``serve_forever`` runs.

    Args:
        view: what to show.
        host: address to listen on.
        port: 0 for a free one, see the server's ``port``.

    Raises:
        ValueError: nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Bound here, because Werkzeug would end the process where the port is taken.
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        sentence = f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port, or 0"
        raise ValueError(sentence) from error
    with bound:
        return make_server(host, port, view, threaded=True, request_handler=_Quiet, fd=bound.fileno())


def export_page(folders: Sequence[Path]) -> str:
    """What the live view shows now, as one page that stands alone.

    Raises:
        ValueError: a folder does not exist, or holds no run.
    """
    found = Runs(folders).look()
    if not found.runs:
        raise ValueError(f"there are no runs in {', '.join(str(folder) for folder in folders)}")
    anchors = {run.name: f"run-{number}" for number, run in enumerate(found.runs, start=1)}
    title = f"Runs in {', '.join(folder.resolve().name for folder in folders)}"
    home = overview(found, title, lambda run: f"#{anchors[run.name]}")
    pages: Mapping[str, Report] = {anchors[run.name]: _shown(run) for run in found.runs}
    assert HOME not in pages
    return render_site(home, pages)


def _of(found: Found, name: str) -> Report:
    for run in found.runs:
        if run.name == name:
            return _shown(run)
    raise NotFound(f"there is no run {name}")


def _shown(run: Run) -> Report:
    """The report of a run; where it cannot be made, a page that says so: the others must not suffer."""
    try:
        return report_of(run)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"a part that was expected is missing: {error}"
        return Report(run.name, "This run cannot be shown.", notes=[reason])


class _Quiet(WSGIRequestHandler):
    """Logs no requests: there is one every two seconds."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Errors alone are worth a line."""
        if type == "error":
            super().log(type, message, *args)
