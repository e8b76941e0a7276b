"""The report of single users: the same user under each policy, as a timeline and as a table to page through."""

from collections.abc import Mapping, Sequence
from typing import Any

from recgym.report.document import Cell, Fact, Plot, Report, Section, Table
from recgym.report.story_plots import compared_plot, timeline_plot
from recgym.report.words import listed

__all__ = ["story_report", "story_sections"]

Result = Mapping[str, Any]

_PAGE = 20
_TEXT = (
    "What one simulated user was shown and did, step by step. The hidden state is the simulator's own and is shown to "
    "people only: no policy sees it."
)


def story_report(story: Result) -> Report:
    """The page of a story.

    Args:
        story: see :func:`recgym.evaluation.stories`.

    Raises:
        ValueError: it holds no user.
    """
    policies = story.get("policies") or {}
    count = max((len(entry["users"]) for entry in policies.values()), default=0)
    if not count:
        raise ValueError("there is no story to report: it holds no user of any policy")
    whom = "One user" if count == 1 else f"{count} users"
    summary = f"{whom} of {story['env']} under {listed(list(policies))}.\n\n{_TEXT}"
    facts = [
        Fact(name, f"{sum(value or 0.0 for value in entry['users'][0]['reward']):.4g}",
             f"return of user 1, {entry['users'][0]['steps']:,} steps")
        for name, entry in policies.items()
        if entry["users"] and entry["users"][0]["steps"]
    ]  # fmt: skip
    title = "A user's story" if count == 1 else "Users' stories"
    return Report(title, summary, story_sections(story), facts=facts)


def story_sections(story: Result) -> list[Section]:
    """A section for each user."""
    policies = story["policies"]
    count = max((len(entry["users"]) for entry in policies.values()), default=0)
    return [_user(index, story) for index in range(count)]


def _user(index: int, story: Result) -> Section:
    stories = {
        name: entry["users"][index]
        for name, entry in story["policies"].items()
        if len(entry["users"]) > index and entry["users"][index]["steps"]
    }
    plots: list[Plot] = []
    if len(stories) > 1:
        names = list(dict.fromkeys(name for user in stories.values() for name in user["mood"]))
        plots = [compared_plot(stories, name) for name in ("reward so far", *names[:3])]
    plots += [timeline_plot(user, story, name) for name, user in stories.items()]
    tables = [_steps(user, story, name) for name, user in stories.items()]
    known = {name: value for user in stories.values() for name, value in user["constant"].items() if value is not None}
    constant = ", ".join(f"{name} {value:.4g}" for name, value in list(known.items())[:8])
    text = f"What never changes in this user: {constant}." if constant else ""
    return Section(f"User {index + 1}", text, tables, plots)


def _steps(user: Result, story: Result, policy: str) -> Table:
    moods = list(user["mood"])[:3]
    seen = [name for name, values in user["seen"].items() if values and not isinstance(values[0], list)][:2]
    sums = {
        channel["name"]: [_sum(values) for values in user["feedback"][channel["name"]]] for channel in story["channels"]
    }
    sums = {name: values for name, values in sums.items() if any(values)}
    many = max(user["session"]) > 0
    columns = ("Step", *(["Session"] if many else []), "Time", "Shown", "Reward", *moods, *sums, *seen)
    rows: list[Sequence[Cell]] = [
        (
            str(step), *([user["session"][step] + 1] if many else []), _clock(user["time_s"][step]),
            _shown(user, story, step), user["reward"][step], *(user["mood"][name][step + 1] for name in moods),
            *(values[step] for values in sums.values()), *(user["seen"][name][step] for name in seen),
        )
        for step in range(user["steps"])
    ]  # fmt: skip
    brackets = "In brackets what the user answered. " if len(user["slate"][0]) > 1 else ""
    caption = f"{policy}: every step. {brackets}The hidden state is that after the step"
    return Table(columns, rows, caption, _PAGE)


def _shown(user: Result, story: Result, step: int) -> str:
    """Ids or titles of a slate, those answered in brackets."""
    words = []
    for position, item in enumerate(user["slate"][step]):
        title = (story["items"].get(str(item)) or {}).get("title")
        named = str(title or item)
        answered = any(user["feedback"][channel["name"]][step][position] for channel in story["channels"])
        words.append(f"[{named}]" if answered and len(user["slate"][step]) > 1 else named)
    return " ".join(words) if len(words) > 1 and not any(" " in word for word in words) else ", ".join(words)


def _sum(values: Sequence[float | None]) -> float:
    return sum(value or 0.0 for value in values)


def _clock(seconds: float | None) -> str | None:
    """Time since the start: 2 d 03:04, or 5:06 within the first day."""
    if seconds is None:
        return None
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
