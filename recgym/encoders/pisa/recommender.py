"""PISA as a recommender: scores for users by their sessions so far, and its folder on disk."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch
from jaxtyping import Float32, Float64, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recgym.data import InteractionLog
from recgym.encoders.activation import Association
from recgym.encoders.batch import Batch
from recgym.encoders.pisa.components import Components, components
from recgym.encoders.pisa.config import PISAConfig
from recgym.encoders.pisa.network import Interests, PISANetwork
from recgym.encoders.pisa.sessions import SessionHistories, SessionTimes
from recgym.encoders.sessions import SessionGaps, SessionNumbers, session_starts
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.files import atomic_folder, read_json, write_json
from recgym.types import History

__all__ = ["PISA"]

_META, _TENSORS, _IDS = "pisa.json", "pisa.safetensors", "items.parquet"


@dataclass(frozen=True, eq=False)
class PISA:
    """A fitted PISA.

    It scores sessions (:meth:`score_sessions`). Histories of single events, as rankings and environments give them,
    are first cut into sessions (:meth:`scores`): where ``times`` are known, as the log has them, else by pauses.

    Attributes:
        config: settings.
        network: weights.
        association: of the items in the sessions that it was fitted to.
        counts: users of each item in the same; what is recommended to users without history.
        item_ids: original id of item i at row i.
        times: when sessions began, of :meth:`with_sessions`; not saved, as they belong to a log.
    """

    config: PISAConfig
    network: PISANetwork
    association: Association
    counts: Int64[Tensor, "N"]
    item_ids: pl.Series
    times: SessionTimes | None = None

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.counts)

    @property
    def window(self) -> None:
        """Every event counts: the base level remembers all."""
        return None

    def with_sessions(self, log: InteractionLog) -> "PISA":
        """The same model that cuts histories where the sessions of a log began, sessions to be foretold among them.

        Nothing but these times is taken from the log, and of these none later than an event decides where it belongs.

        Args:
            log: of the histories that are to be scored, such as the whole of which this model was fitted to a part.

        Raises:
            ValueError: the log has other items, or something in it was consumed in no session.
        """
        if not log.item_ids.equals(self.item_ids):
            raise ValueError(f"{log.source}: its items are not those that the model was fitted to")
        return replace(self, times=SessionTimes.of(log))

    @torch.no_grad()
    def score_sessions(self, histories: SessionHistories, moment_s: Float64[Tensor, "U"]) -> Float32[Tensor, "U N"]:
        """The score of every item for each user.

        Args:
            histories: of the users, up to the moment for which is asked.
            moment_s: when the next session starts, t_ref.

        Returns:
            Higher is better; no item is left out. Users without sessions get the share of users that each item has.
        """
        network, training = self.network, self.network.training
        network.eval()
        try:
            there = histories.first_session.diff() > 0
            out = (self.counts / self.counts.sum().clamp(min=1)).repeat(len(there), 1)
            if bool(there.any()):
                table = network.items.table()
                interests = self._newest(histories, moment_s, table)
                out[there] = network.scores(interests, table)[:, 0]
        finally:
            network.train(training)
        return out

    def _newest(
        self, histories: SessionHistories, moment_s: Float64[Tensor, "U"], table: Float32[Tensor, "R D"]
    ) -> Interests:
        """The interests after the newest session of each user who has one, T = 1."""
        index = histories.newest(self.config.window)
        index = index[histories.first_session.diff() > 0]
        inside = index[:, 1:][index[:, 1:] < len(histories.owner)]
        after = torch.where(
            histories.followed[inside],
            histories.start_s[(inside + 1).clamp(max=len(histories.owner) - 1)],
            moment_s[histories.owner[inside]],
        )
        known = components(histories, inside, after, self.association, self.config)
        sessions = known.take(index)
        inputs = Components(*(part[:, 1:] for part in sessions))
        found = self.network.interests(self.network.embed(sessions, table).inputs[:, 1:], inputs, table)
        newest = (index[:, 1:] < len(histories.owner)).sum(1) - 1
        rows = torch.arange(len(newest))
        return Interests(found.short[rows, newest][:, None], found.long[rows, newest][:, None])

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        """The same for histories of events, see :class:`recgym.evaluation.ranking.Recommender`.

        Args:
            users: user ids of the log given to :meth:`with_sessions`; without one they do not count.
            history: right-aligned, of tensors.
            query_time_s: when the next session starts.

        Raises:
            ValueError: the time is not given, or an item id is outside the catalogue.
        """
        if query_time_s is None:
            raise ValueError("base levels are those at the start of the next session: expected its time, found none")
        return self.score_sessions(self.sessions_of(users, history), query_time_s)

    def sessions_of(self, users: Int64[Tensor, "B"], history: History) -> SessionHistories:
        """The sessions of histories of events; arguments as in :meth:`scores`."""
        session = None if self.times is None else self.times.numbers(users, history.time_s)
        batch = replace(Batch.from_history(history), session=session).aligned()[0]
        borders = SessionGaps(self.config.gap_s) if self.times is None else SessionNumbers()
        opens, mask = session_starts(batch.where(), borders), batch.mask
        assert batch.time_s is not None
        return SessionHistories.of(
            batch.items[mask], batch.time_s[mask], mask.nonzero()[:, 0], opens[mask], len(mask), self.num_items,
            self.config.session,
        )  # fmt: skip

    def save(self, folder: Path | str) -> None:
        """Write the model as a folder, all or nothing."""
        tensors = {f"network.{name}": part.contiguous() for name, part in self.network.state_dict().items()}
        tensors |= {f"association.{name}": part.contiguous() for name, part in vars(self.association).items()}
        tensors["counts"] = self.counts
        with atomic_folder(Path(folder), _META) as temporary:
            save_file(tensors, temporary / _TENSORS)
            pl.DataFrame({"id": self.item_ids}).write_parquet(temporary / _IDS)
            write_json(
                temporary / _META,
                {"format": "recgym-pisa", "version": 1, "settings": settings_to_json(self.config)},
            )

    @classmethod
    def load(cls, folder: Path | str) -> "PISA":
        """Read a folder written by :meth:`save`; nothing in it is executed.

        Raises:
            ValueError: the folder does not hold such a model, or a part of it is missing or damaged.
        """
        folder = Path(folder)
        meta = read_json(folder / _META)
        if not isinstance(meta, dict) or meta.get("format") != "recgym-pisa":
            raise ValueError(f"{folder / _META} does not describe a saved PISA model")
        if meta.get("version") != 1:
            raise ValueError(f"{folder / _META} has version {meta.get('version')}, this recgym reads version 1")
        config = settings_from_json(PISAConfig, meta["settings"], str(folder / _META))
        try:
            tensors = load_file(folder / _TENSORS)
            ids = pl.read_parquet(folder / _IDS)["id"]
            association = Association(*(tensors.pop(f"association.{name}") for name in ("start", "items", "values")))
            counts = tensors.pop("counts")
            with torch.random.fork_rng(devices=[]):
                network = PISANetwork(config, len(ids))
            network.load_state_dict({name.removeprefix("network."): part for name, part in tensors.items()})
        except (OSError, SafetensorError, KeyError, RuntimeError, pl.exceptions.PolarsError) as error:
            raise ValueError(f"{folder}: a part of the model is missing or damaged: {error}") from error
        return cls(config, network.eval(), association, counts, ids)
