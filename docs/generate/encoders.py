"""One page an encoder: what it can do is asked of the model, the rest is in its docstrings."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from docs.generate.markdown import autodoc, command, figure, interval, results, table, toctree
from recgym.encoders import MODELS, Capabilities, Catalogue, FeedbackScale

__all__ = ["capabilities", "pages"]

_INTRODUCTION = """# Encoders

A sequence encoder turns what a user consumed into a state vector. It ranks items by itself, and it can be the state of
an agent: inside the environment (`encoder=DIR`, frozen, moved on event by event) or inside the policy
(`--encoder DIR`, learning along).

* Causal: the state after an event does not depend on later ones, so all positions are trained at once.
* Incremental: one more event costs the same however many came before.
* Beyond the window: going event by event goes on past the window with the same result.
* Feedback and pauses: can be told how an item was answered, and how long ago.

"""

_QUESTIONS = {
    "causal": "causal", "incremental": "incremental", "sliding": "beyond the window", "needs_time": "needs times",
}  # fmt: skip


def pages() -> dict[str, str]:
    """Page name -> text."""
    rows, made = [], {}
    found = results("reproductions/results").get("encoders", {})
    for name, config in MODELS.items():
        able = capabilities(config)
        answers = ["yes" if getattr(able, key) else "no" for key in _QUESTIONS]
        rows.append([f"[`{name}`]({name}.md)", *answers, "yes" if _takes_events(config) else "no"])
        made[f"encoders/{name}.md"] = _page(name, config, able, found)
    index = _INTRODUCTION + table(["encoder", *_QUESTIONS.values(), "feedback and pauses"], rows)
    index += "\n" + toctree([*MODELS, "others"], hidden=True)
    return {"encoders/index.md": index, "encoders/others.md": _others()} | made


def capabilities(config: type[Any]) -> Capabilities:
    """What an encoder with its default settings can do."""
    catalogue = Catalogue(20, np.ones(20, np.int64), FeedbackScale((1.0,)), True)
    with torch.random.fork_rng(devices=[]):
        able: Capabilities = config().build(catalogue).encoder.capabilities
    return able


def _takes_events(config: type[Any]) -> bool:
    """Whether the settings, or those of the encoder that it is made of, say what enters beside item ids."""
    parts = [config(), *(getattr(config(), field.name) for field in fields(config))]
    return any(hasattr(part, "events") for part in parts)


def _page(name: str, config: type[Any], able: Capabilities, found: dict[str, Any]) -> str:
    yes = {True: "yes", False: "no"}
    rows = [
        ["ranking the whole catalogue", "yes"],
        ["the state of an agent, frozen in the environment", "yes"],
        ["the state of an agent, learning along", "yes"],
        ["one step at constant cost (incremental)", yes[able.incremental]],
        ["histories longer than the window, event by event", yes[able.sliding]],
        ["training on all positions at once (causal)", yes[able.causal]],
        ["logs that know only the order of events", yes[not able.needs_time]],
        ["feedback and pauses as input", yes[_takes_events(config)]],
    ]
    text = f"# {name}\n\n" + command(
        f"recgym encoder fit --model {name} --data ml-100k/u.data --format movielens --out runs/{name}"
    )
    text += "\n## Can I use it for ...?\n\nWith default settings:\n\n" + table(["use", "possible"], rows)
    text += "\n## What it does\n\n" + autodoc("autoclass", f"{config.__module__}.{config.__name__}", "no-index")
    return text + _result(name, found)


def _result(name: str, found: dict[str, Any]) -> str:
    """Rows of the table of encoders whose model is this one or a variant of it."""
    rows = list(_rows(name, found.get("rows", [])))
    if not rows:
        return ""
    text = "\n## Results\n\n" + table(["data", "model", "seed", "HR@10", "NDCG@10", "return"], rows)
    return (
        text + "\n" + command(found["command"]) + "\nAll rows and claims: [encoders](../reproductions/encoders.md).\n"
    )


def _rows(name: str, rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    for row in rows:
        if row["model"].partition("-")[0] != name.partition("-")[0] or "seed" not in row:
            continue
        measured = [row.get(key) for key in ("hr@10", "ndcg@10")]
        shown = [interval(entry, "mean") if isinstance(entry, dict) else figure(entry) for entry in measured]
        yield [row["dataset"], row["model"], str(row["seed"]), *shown, figure(row.get("return"))]


def _others() -> str:
    text = (
        "# Baselines, repeat models, PISA and sets of users\n\nThese rank items or describe users too, with faces of "
    )
    text += "their own.\n\n## To be beaten before all else\n\n"
    simple = ("PopularityConfig", "RecencyConfig", "ItemKNNConfig", "MarkovConfig")
    text += "\n".join(f"* {{py:class}}`~recgym.encoders.{kind}`" for kind in simple) + "\n"
    text += "\n## People who come back to what they know\n\n" + autodoc(
        "automodule", "recgym.encoders.repeat", "no-members", "no-index"
    )
    repeating = ("PersonalTopConfig", "ACTRRepeatConfig", "RepeatGateConfig", "TIFUKNNConfig", "UPCFConfig")
    text += "\n" + "\n".join(f"* {{py:class}}`~recgym.encoders.repeat.{kind}`" for kind in repeating) + "\n"
    text += "\n## PISA\n\n" + autodoc("autoclass", "recgym.encoders.PISAConfig", "no-index")
    text += "\n## SADAE: sets of users\n\n" + autodoc("autoclass", "recgym.encoders.SADAEConfig", "no-index")
    return text
