"""What people see of an environment: the user's slate, choice and mood, as text, on the terminal, or as a picture.

This is the only place of an environment that looks at the hidden state, and what it makes goes to people alone:
observations and infos are the same with and without it. Nothing here runs unless a ``render_mode`` is asked for.
"""

import math
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from recgym.arrays import to_numpy
from recgym.envs.simulation import Simulation
from recgym.envs.transition import Transition
from recgym.simulators.moods import moods

__all__ = ["METADATA", "Scene", "Viewer", "picture", "print_scene", "terminal_text", "viewer_for"]

METADATA: dict[str, Any] = {"render_modes": ["human", "ansi", "rgb_array"], "render_fps": 4}
"""What Gymnasium reads of environments that can be looked at."""

_REMEMBERED = 120
_MOST_ITEMS, _MOST_MOODS = 10, 3
_WIDTH, _HEIGHT = 640, 360
_PAPER, _INK, _SOFT, _LINE = (250, 248, 244), (29, 35, 39), (93, 102, 108), (226, 221, 211)
_COLOURS = ((22, 144, 143), (224, 129, 47), (138, 111, 209))
_SPARKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Scene:
    """One user after one step.

    Attributes:
        world: name of the task.
        user: row of the batch.
        step: steps since the episode began.
        session: which session of the episode, from 1.
        seconds: since the episode began.
        shown: item ids of the last slate and what the user answered to each, empty for passed over; none before the
            first step.
        reward: of the last step; None before the first.
        moods: name to its values since the episode began, the last 120 at most; no name for users whose mood has none.
        ended: whether the episode has ended with this step.
    """

    world: str
    user: int
    step: int
    session: int
    seconds: float
    shown: tuple[tuple[int, str], ...]
    reward: str | None
    moods: dict[str, tuple[float, ...]]
    ended: bool

    @property
    def heading(self) -> str:
        """Where the user is."""
        minutes, seconds = divmod(round(self.seconds), 60)
        return f"{self.world}  ·  step {self.step}  ·  session {self.session}  ·  {minutes}:{seconds:02}"


class Viewer:
    """Follows the users of a simulation, so that their mood can be drawn over time.

    Args:
        mode: ``"human"``, ``"ansi"`` or ``"rgb_array"``.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._moods: deque[dict[str, np.ndarray]] = deque(maxlen=_REMEMBERED)
        self._last: Transition | None = None

    def saw(self, simulation: Simulation, transition: Transition | None = None) -> None:
        """Users came (no transition), or one step was made; rows that were reset since then are at step 0.

        In the mode ``"human"`` the first user is printed at once.
        """
        found = moods(simulation.model, simulation.users)
        self._moods.append({name: to_numpy(part).copy() for name, part in found.items()})
        self._last = transition
        if self.mode == "human":
            self.render(simulation, 0)

    def forget(self) -> None:
        """The simulation was set to another state."""
        self._moods.clear()
        self._last = None

    def scene(self, simulation: Simulation, row: int) -> Scene:
        """What there is to see of one user."""
        step = int(simulation.steps[row])
        last = self._last if step else None  # a user who has just come was shown nothing
        recent = list(self._moods)[-(step + 1) :]
        return Scene(
            simulation.task.name, row, step, int(simulation.session[row]) + 1, float(simulation.clock_s[row]),
            () if last is None else _answers(simulation, last, row),
            None if last is None else _number(to_numpy(last.reward)[row]),
            _moved({name: tuple(float(entry[name][row]) for entry in recent) for name in recent[-1]} if recent else {}),
            last is not None and bool(last.terminated[row] | last.truncated[row]),
        )  # fmt: skip

    def render(self, simulation: Simulation, row: int) -> Any:
        """One user in this viewer's mode: text, a picture, or None once it was printed."""
        scene = self.scene(simulation, row)
        if self.mode == "rgb_array":
            return picture(scene)
        if self.mode == "ansi":
            return terminal_text(scene)
        print_scene(scene)
        return None


def viewer_for(mode: str | None) -> Viewer | None:
    """A viewer of a mode, or None for None.

    Raises:
        ValueError: there is no such mode.
    """
    if mode is not None and mode not in METADATA["render_modes"]:
        raise ValueError(f"found render_mode {mode!r}, expected one of {', '.join(METADATA['render_modes'])}, or None")
    return None if mode is None else Viewer(mode)


def terminal_text(scene: Scene) -> str:
    """The scene as lines of text, without colours."""
    lines = [scene.heading]
    if not scene.shown:
        lines.append("  a new user has come")
    for position, (item, answer) in enumerate(scene.shown[:_MOST_ITEMS]):
        lines.append(
            f"  {'shown' if position == 0 else '':6} {'●' if answer else '○'} item {item:<7} {answer}".rstrip()
        )
    if len(scene.shown) > _MOST_ITEMS:
        lines.append(f"         and {len(scene.shown) - _MOST_ITEMS} more")
    width = max((len(name) for name in scene.moods), default=0)
    for index, (name, values) in enumerate(scene.moods.items()):
        lines.append(f"  {'mood' if index == 0 else '':6} {name:{width}} {_number(values[-1]):>8}  {_spark(values)}")
    if scene.reward is not None:
        lines.append(f"  reward {scene.reward}" + ("   the episode has ended" if scene.ended else ""))
    return "\n".join(lines) + "\n"


def print_scene(scene: Scene) -> None:
    """The scene on the terminal, with colours where it has some."""
    from rich.console import Console
    from rich.text import Text

    heading, _, body = terminal_text(scene).partition("\n")
    text = Text(body)
    text.highlight_regex(r"(?m)^  (shown|mood|reward)", "dim")
    text.highlight_regex("●.*", "bold cyan")
    text.highlight_regex("○.*", "dim")
    text.highlight_regex(f"[{_SPARKS}]+", "cyan")
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(Text(heading, style="bold"))
    console.print(text, end="")


def picture(scene: Scene) -> UInt8[np.ndarray, "H W 3"]:
    """The scene as a picture of 640 by 360 points: the slate above, the mood since the episode began below."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    small, middle, large = (ImageFont.load_default(size) for size in (13, 15, 20))
    draw.text((20, 14), scene.world, fill=_INK, font=large)
    draw.text((20, 42), scene.heading.removeprefix(scene.world).strip(" ·"), fill=_SOFT, font=small)
    if scene.reward is not None:
        words = f"reward {scene.reward}" + ("  ·  the episode has ended" if scene.ended else "")
        draw.text((_WIDTH - 20, 20), words, fill=_INK, font=middle, anchor="ra")
    if not scene.shown:
        draw.text((20, 96), "a new user has come", fill=_SOFT, font=middle)
    shown = scene.shown[:_MOST_ITEMS]
    width = min(190, (_WIDTH - 40 - 8 * (len(shown) - 1)) // max(len(shown), 1))
    for position, (item, answer) in enumerate(shown):
        left = 20 + position * (width + 8)
        colour = _COLOURS[0] if answer else _PAPER
        draw.rounded_rectangle((left, 72, left + width, 152), 7, fill=colour, outline=_COLOURS[0] if answer else _LINE)
        ink = _PAPER if answer else _SOFT
        draw.text((left + 10, 80), _fitted(draw, f"item {item}", width - 18, middle), fill=ink, font=middle)
        for line, part in enumerate((answer or "passed over").split(", ")[:2]):
            draw.text((left + 10, 106 + 18 * line), _fitted(draw, part, width - 18, small), fill=ink, font=small)
    _mood_panels(draw, scene, small)
    return np.asarray(image, dtype=np.uint8).copy()


def _mood_panels(draw: Any, scene: Scene, font: Any) -> None:
    top, room = 176, (_HEIGHT - 176 - 16) / max(len(scene.moods), 1)
    for index, (name, values) in enumerate(scene.moods.items()):
        upper, lower = top + index * room + 20, top + (index + 1) * room - 8
        colour = _COLOURS[index % len(_COLOURS)]
        draw.text((20, upper - 20), name, fill=_SOFT, font=font)
        draw.text((_WIDTH - 20, upper - 20), _number(values[-1]), fill=_INK, font=font, anchor="ra")
        draw.line((20, lower, _WIDTH - 20, lower), fill=_LINE)
        low, span = _range(values)
        across = (_WIDTH - 40) / max(len(values) - 1, 1)
        points = [(20 + i * across, lower - (value - low) / span * (lower - upper)) for i, value in enumerate(values)]
        if len(points) > 1:
            draw.line(points, fill=colour, width=3, joint="curve")
        x, y = points[-1] if len(points) > 1 else (20.0, lower)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)


def _fitted(draw: Any, text: str, width: float, font: Any) -> str:
    """As much of the text as there is room for."""
    while text and draw.textlength(text, font=font) > width:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    return text


def _moved(values: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """The parts of the mood that move, or the first ones as long as none has; three at most."""
    moved = {name: each for name, each in values.items() if len(set(each)) > 1} or values
    return dict(list(moved.items())[:_MOST_MOODS])


def _answers(simulation: Simulation, last: Transition, row: int) -> tuple[tuple[int, str], ...]:
    """Items of the slate, and what the user answered to each."""
    slate, feedback = to_numpy(last.slate)[row], to_numpy(last.response.feedback)[row]
    channels = simulation.model.schema.channels
    found = []
    for item, answer in zip(slate, feedback, strict=True):
        parts = [
            f"{channel.name} {_number(value)}" + (f" {channel.unit}" if channel.unit else "")
            for channel, value in zip(channels, answer, strict=True)
            if value
        ]
        found.append((int(item), ", ".join(parts)))
    return tuple(found)


def _number(value: Any) -> str:
    """A number, or several, in three digits."""
    values = np.atleast_1d(value)
    return ", ".join("–" if not math.isfinite(entry) else f"{float(entry):.3g}" for entry in values)


def _range(values: tuple[float, ...]) -> tuple[float, float]:
    """Smallest value, and how far the largest is from it; 1 where all are equal."""
    return min(values), (max(values) - min(values)) or 1.0


def _spark(values: tuple[float, ...]) -> str:
    """The last 30 values as a line of blocks."""
    recent = values[-30:]
    low, span = _range(recent)
    return "".join(_SPARKS[min(int((value - low) / span * len(_SPARKS)), len(_SPARKS) - 1)] for value in recent)
