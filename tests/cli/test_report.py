"""``recgym report``: from the JSON of a run to its page."""

from pathlib import Path

import pytest

from recgym.cli.main import main
from recgym.files import write_json
from tests.report import abtest_sample
from tests.report.sample import result


def test_the_page_stands_beside_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(tmp_path / "result.json", result())
    assert main(["report", str(tmp_path)]) == 0
    page = tmp_path / "report.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert "Fidelity" in page.read_text(encoding="utf-8")


def test_the_page_goes_where_it_is_asked(tmp_path: Path) -> None:
    write_json(tmp_path / "result.json", {"policies": result()["policies"]})
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "pages" / "it.html")]) == 0
    assert (tmp_path / "pages" / "it.html").exists()


def test_an_ab_test_has_its_own_page(tmp_path: Path) -> None:
    write_json(tmp_path / "result.json", abtest_sample.result())
    assert main(["report", str(tmp_path)]) == 0
    assert "A/B test: " in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "holds no run: the folder that a command wrote was expected"),
        ("{", "result.json is not readable as JSON"),
        ("[1]", "result.json holds a list, a JSON object was expected"),
        ('{"colour": 1}', "there is nothing to report: found the keys ['colour']"),
    ],
)
def test_bad_results_are_one_line(
    text: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text, encoding="utf-8")
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()
