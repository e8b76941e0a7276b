"""Pages that are made from the code and from committed results say what these say."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from docs.generate import agents, api, benchmarks, encoders, environments, reproductions, write_pages
from docs.generate.markdown import figure, interval, table
from docs.generate.signatures import signature
from recgym.agents import CONFIGS
from recgym.agents.offline import OFFLINE_CONFIGS
from recgym.encoders import MODELS
from recgym.envs import Task, registered
from recgym.types import History
from tests.docs.blocks import ROOT


def test_every_environment_agent_and_encoder_has_a_page() -> None:
    pages = environments.pages() | agents.pages() | encoders.pages()
    assert {f"environments/{name.partition('/')[2]}.md" for name in registered()} <= set(pages)
    assert {f"agents/{name}.md" for name in (*CONFIGS, *OFFLINE_CONFIGS, "bandits", "d3rlpy")} <= set(pages)
    assert {f"encoders/{name}.md" for name in MODELS} <= set(pages)
    assert "recgym.envs.short_video.task" in pages["environments/ShortVideo-v0.md"]


ITEMS, SLATES, PREFERENCES = agents.USES


@pytest.mark.parametrize(
    ("name", "uses"),
    [
        ("ppo", {ITEMS, SLATES, PREFERENCES}),
        ("dqn", {ITEMS}),
        ("td3", {PREFERENCES}),
        ("rlur", {PREFERENCES}),
        ("slateq", {ITEMS, SLATES}),
        ("bc", {ITEMS, SLATES, PREFERENCES}),
    ],
)
def test_uses_are_found_out_by_building_agents(name: str, uses: set[str]) -> None:
    facts = agents.can_be_used(name)
    assert {use for use, why in facts.items() if not why} == uses


def test_capabilities_are_those_of_the_models() -> None:
    assert encoders.capabilities(MODELS["gru4rec"]).incremental
    assert not encoders.capabilities(MODELS["bert4rec"]).causal


def test_every_committed_claim_stands_on_its_page_and_those_that_fail_in_the_index() -> None:
    pages = reproductions.pages()
    for path in (ROOT / "reproductions" / "results").glob("*.json"):
        for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]:
            line = f"{figure(claim['reference'])} | {'yes' if claim['holds'] else '**no**'} |"
            page = pages[f"reproductions/{path.stem}.md"]
            assert any(claim["claim"] in row and row.endswith(line) for row in page.splitlines())
            assert claim["holds"] or claim["claim"] in pages["reproductions/index.md"]


def test_every_committed_benchmark_has_a_section() -> None:
    page = benchmarks.pages()["benchmarks.md"]
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert f"\n## {path.stem}\n" in page
        assert json.loads(path.read_text(encoding="utf-8"))["command"] in page


def test_a_public_name_has_one_entry_and_it_is_found_by_where_it_is_defined() -> None:
    names = api.documented()
    assert names["recgym.agents.sb3.on_policy", "PPOConfig"] == "recgym.agents.PPOConfig"
    assert names["recgym.ope.base", "LoggedRounds"] == "recgym.ope.LoggedRounds"
    text = "".join(api.pages().values())
    assert text.count(".. autoclass:: recgym.agents.PPOConfig\n") == 1
    assert ".. autoclass:: recgym.agents.sb3.PPOConfig\n" not in text


def test_pages_are_left_alone_if_nothing_changed_and_stale_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for maker in ("agents", "encoders", "environments", "api", "commands", "formats", "benchmarks"):
        monkeypatch.setattr(f"docs.generate.{maker}.pages", dict)
    stale = tmp_path / "reproductions" / "gone.md"
    stale.parent.mkdir()
    stale.write_text("gone", encoding="utf-8")
    write_pages(tmp_path)
    assert not stale.exists()
    before = (tmp_path / "reproductions" / "index.md").stat().st_mtime_ns
    write_pages(tmp_path)
    assert (tmp_path / "reproductions" / "index.md").stat().st_mtime_ns == before


class _Pair(NamedTuple):
    first: int
    second: str = "b"


class _Written:
    def __init__(self, kind: Literal["a", "b"], *, count: int = 3) -> None:
        self.kind, self.count = kind, count

    def times(self, by: float) -> "list[float]":
        return [by] * self.count


def test_signatures_are_those_of_the_source() -> None:
    assert signature(_Written) == ("(kind: Literal['a', 'b'], *, count: int=3)", None)
    assert signature(_Written.times) == ("(by: float)", "list[float]")
    assert signature(History) == (
        "(items: Int64[Array, 'B T'], feedback: Float32[Array, 'B T F'], time_s: Float64[Array, 'B T'], "
        "mask: Bool[Array, 'B T'])",
        None,
    )
    found: Any = signature(Task)
    assert found[0].startswith("(model: UserModel[Any], reward: RewardFn, observer: Observer = HistoryObserver(), ")
    assert signature(_Pair) == ("()", None)  # fields are read of recgym's own classes


def test_figures_and_tables() -> None:
    assert [figure(v) for v in (None, float("nan"), True, 1234, 0.123456, 12345.6, 2e-6, "x")] == [
        "–", "–", "yes", "1,234", "0.1235", "12,346", "2.0e-06", "x",
    ]  # fmt: skip
    assert interval({"value": 0.5, "low": 0.4, "high": 0.6}) == "0.5 [0.4, 0.6]"
    assert interval({"value": 0.5, "low": 0.5, "high": 0.5}) == "0.5"
    assert table(["a"], [["b|c"]]) == "| a |\n| --- |\n| b\\|c |\n"
