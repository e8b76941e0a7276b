"""The live view as a WSGI application: pages, 304 for what has not changed, and nothing for strangers."""

from pathlib import Path

import pytest
from werkzeug.test import Client

from recgym.report.live import LiveView, export_page, serve
from tests.report.runs_sample import write_runs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_runs(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def client(root: Path) -> Client:
    return Client(LiveView([root]))


def test_all_pages_and_assets_are_served_and_load_nothing_from_elsewhere(client: Client) -> None:
    home = client.get("/")
    assert home.status_code == 200
    for name in (
        "demo",
        "train/a",
        "train/b",
        "offline",
        "evaluated",
        "check",
        "ope",
        "ab",
        "sweep",
        "sweep/trials/0000",
        "encoder/a",
        "encoder/b",
    ):
        assert f'href="/run/{name}"' in home.text
        page = client.get(f"/run/{name}")
        assert page.status_code == 200, name
        assert "cannot be shown" not in page.text, name
        assert "script-src 'self'" in page.text
        assert "http://" not in page.text.replace("http://www.w3.org", ""), name
    for name, kind in {
        "plotly.js": "text/javascript",
        "report.js": "text/javascript",
        "report.css": "text/css",
    }.items():
        asset = client.get(f"/{name}")
        assert (asset.status_code, asset.mimetype) == (200, kind)


def test_what_has_not_changed_is_not_sent_again(client: Client, root: Path) -> None:
    tag = client.get("/run/demo").headers["ETag"]
    assert f"data-version='{tag}'" in client.get("/run/demo").text.replace('"', "'").replace("&quot;", '"')
    unchanged = client.get("/run/demo", headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    (root / "demo" / "result.json").touch()
    assert client.get("/run/demo", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("path", ["/run/nothing", "/etc/passwd", "/run/..%2f..%2fetc/passwd", "/run/demo/result.json"])
def test_what_is_no_run_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_it_only_reads(client: Client, root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    client.get("/")
    assert client.post("/").status_code == 405
    assert client.delete("/run/demo").status_code == 405
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_site_that_points_its_name_here_gets_nothing(root: Path) -> None:
    stranger = {"Host": "evil.example:8787"}
    assert Client(LiveView([root])).get("/", headers=stranger).status_code == 403
    assert Client(LiveView([root])).get("/", headers={"Host": "127.0.0.1:8787"}).status_code == 200
    assert Client(LiveView([root], None)).get("/", headers=stranger).status_code == 200


def test_a_run_that_cannot_be_shown_does_not_take_the_others_along(client: Client, root: Path) -> None:
    (root / "ope" / "result.json").write_text('{"logged_return": 1.0, "episodes": 3, "policies": {}}', encoding="utf-8")
    assert client.get("/").status_code == 200
    page = client.get("/run/ope").text
    assert "This run cannot be shown." in page
    assert "a part that was expected is missing" in page


def test_an_empty_folder_says_what_would_be_here(tmp_path: Path) -> None:
    assert "There are no runs here yet" in Client(LiveView([tmp_path])).get("/").text
    with pytest.raises(ValueError, match="there are no runs in"):
        export_page([tmp_path])


def test_a_port_that_is_taken_is_one_sentence(root: Path) -> None:
    server = serve(LiveView([root]), "127.0.0.1", 0)
    try:
        with pytest.raises(ValueError, match=f"cannot listen on 127.0.0.1:{server.port}: .*; give another --port"):
            serve(LiveView([root]), "127.0.0.1", server.port)
    finally:
        server.server_close()
