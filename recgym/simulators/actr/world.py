"""What a world of people who come back to what they know is made of, and its folder."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from recgym.files import atomic_folder, read_json, write_json

__all__ = ["ACTRItems", "ACTRManners", "ACTRMemory", "ACTRRecords", "ACTRTimes", "ACTRWorld"]

_FORMAT, _VERSION = "recgym-actr", 1


@dataclass(frozen=True)
class ACTRMemory:
    """The law by which people take the next item of a session by themselves.

    An item i that the user remembers has the activation

        A_i = ln sum_k (t_ref - t_k)^-decay + spreading SPR_i + matching PM_i - satiation S_i

    with t_ref the start of the session, SPR_i the association of i with the items of this session so far, PM_i its
    likeness to the items of the session before, and ``S_i = sum_k exp(-(t_ref - t_k) / satiation_s)``, what the user
    had of it lately. It is taken with probability ``exp(A_i / noise) / (sum_j exp(A_j / noise) + exp(threshold /
    noise))`` over the remembered items j that this session does not hold yet; otherwise the user explores. This is the
    choice of ACT-R with a retrieval threshold. Who explores goes on from a random item of this session to one
    associated with it, with probability ``follow``, if that one is new; else takes a new item by popularity and taste.

    Attributes:
        decay: d, how fast use is forgotten.
        noise: s, how random the choice is.
        spreading: weight of the association with this session.
        matching: weight of the likeness to the session before.
        satiation: how tired one consumption makes.
        threshold: tau, in units of activation with ages in seconds.
        follow: share of explorations that go along an association.
        satiation_s: seconds after which 1/e of the satiation is left.
        appeal: how much taste tilts which new item is taken.
    """

    decay: float = 0.5
    noise: float = 0.7
    spreading: float = 3.0
    matching: float = 0.2
    satiation: float = 0.4
    threshold: float = -3.1
    follow: float = 0.5
    satiation_s: float = 2 * 86_400.0
    appeal: float = 1.0

    def __post_init__(self) -> None:
        for name in ("noise", "satiation_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")
        if not self.decay >= 0:
            raise ValueError(f"decay must not be negative, found {self.decay}")
        if not 0 <= self.follow <= 1:
            raise ValueError(f"follow must be a share in [0, 1], found {self.follow}")


@dataclass(frozen=True)
class ACTRManners:
    """How people answer what is shown to them; a log of what they take by themselves does not tell.

    Attributes:
        cue: how much easier it is to recognise an item than to come up with it, a logit.
        novelty: logit of listening to a new item, at no taste for it and nothing else.
        impatience: what a step without a listen takes off the session, in steps, beside the step itself.
        satisfaction_rate: how fast satisfaction follows what is shown.
        boredom: what satisfaction falls to when nothing is listened to, as a positive number.
        return_pull: how much satisfaction adds to the logarithm of the rate of coming back.
    """

    cue: float = 3.0
    novelty: float = -1.0
    impatience: float = 0.5
    satisfaction_rate: float = 0.2
    boredom: float = 0.3
    return_pull: float = 1.0


@dataclass(frozen=True)
class ACTRItems:
    """The catalogue.

    Attributes:
        embeddings: unit vectors; partial matching and taste look at them.
        popularity: weight of each item among new ones, above 0 for at least one.
        neighbours: the items that each one is associated with; N is padding.
        strengths: how strongly; 0 at padding.
    """

    embeddings: Float32[np.ndarray, "N D"]
    popularity: Float32[np.ndarray, "N"]
    neighbours: Int64[np.ndarray, "N L"]
    strengths: Float32[np.ndarray, "N L"]

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.popularity)


@dataclass(frozen=True)
class ACTRTimes:
    """When people come and for how long: evenly spaced quantiles, or samples, to draw from.

    Attributes:
        lengths: items of a session.
        gaps_s: seconds from the end of a session to the start of the next, for a user of pace 0.
        pauses_s: seconds from one item of a session to the next.
        listen_s: seconds that a step takes for each item listened to.
        skip_s: seconds that a step takes besides.
    """

    lengths: Int64[np.ndarray, "lengths"]
    gaps_s: Float64[np.ndarray, "gaps"]
    pauses_s: Float64[np.ndarray, "pauses"]
    listen_s: float
    skip_s: float


@dataclass(frozen=True)
class ACTRRecords:
    """People as they stand at the start of a session, with what they remember.

    Attributes:
        items: what they consumed, right-aligned, oldest first; N is padding.
        time_s: when, in seconds relative to now; not positive, 0 at padding.
        previous_s: when the last session began.
        taste: how the user's taste for new items lies, a vector among the embeddings.
        pace: logarithm of how long the user's gaps are relative to those of others.
    """

    items: Int64[np.ndarray, "S H"]
    time_s: Float64[np.ndarray, "S H"]
    previous_s: Float64[np.ndarray, "S"]
    taste: Float32[np.ndarray, "S D"]
    pace: Float32[np.ndarray, "S"]


@dataclass(frozen=True)
class ACTRWorld:
    """All that :class:`recgym.simulators.actr.ACTRUsers` are made of.

    Attributes:
        memory: the law of choice.
        manners: how people answer what is shown.
        items: the catalogue.
        times: when people come.
        records: people to start from.
    """

    memory: ACTRMemory
    manners: ACTRManners
    items: ACTRItems
    times: ACTRTimes
    records: ACTRRecords

    def save(self, folder: Path | str) -> None:
        """Write a folder of safetensors and JSON, all or nothing."""
        arrays = {
            f"{part}.{field.name}": np.ascontiguousarray(value)
            for part in ("items", "times", "records")
            for field in fields(getattr(self, part))
            if isinstance(value := getattr(getattr(self, part), field.name), np.ndarray)
        }
        with atomic_folder(Path(folder), "actr.json") as temporary:
            save_file(arrays, temporary / "arrays.safetensors")
            write_json(
                temporary / "actr.json",
                {
                    "format": _FORMAT,
                    "version": _VERSION,
                    "memory": asdict(self.memory),
                    "manners": asdict(self.manners),
                    "times": {"listen_s": self.times.listen_s, "skip_s": self.times.skip_s},
                },
            )

    @classmethod
    def load(cls, folder: Path | str) -> "ACTRWorld":
        """Read a folder written by :meth:`save`; nothing in it is executed.

        Raises:
            ValueError: the folder does not hold such a world, or a part of it is missing or damaged.
        """
        folder = Path(folder)
        meta = read_json(folder / "actr.json")
        if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
            raise ValueError(f"{folder / 'actr.json'} does not describe a world of ACT-R users")
        if meta.get("version") != _VERSION:
            raise ValueError(f"{folder} has version {meta.get('version')} of the format, expected {_VERSION}")
        try:
            arrays = load_file(folder / "arrays.safetensors")
            return cls(
                ACTRMemory(**meta["memory"]),
                ACTRManners(**meta["manners"]),
                ACTRItems(**_part(arrays, "items")),
                ACTRTimes(**_part(arrays, "times"), **meta["times"]),
                ACTRRecords(**_part(arrays, "records")),
            )
        except (OSError, SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"{folder}: a part of the world is missing or damaged: {error}") from error


def _part(arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    return {key.removeprefix(f"{name}."): value for key, value in arrays.items() if key.startswith(f"{name}.")}
