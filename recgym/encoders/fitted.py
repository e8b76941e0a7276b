"""A fitted encoder on disk: settings, what it was built for, weights, and the ids of its items."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recgym.encoders.base import SequenceEncoder
from recgym.encoders.catalogue import Catalogue
from recgym.encoders.events import FeedbackScale
from recgym.encoders.fit import Stage
from recgym.encoders.model import NextItemModel
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.files import atomic_folder, read_json, write_json

__all__ = ["ENCODER", "FIT_CURVE", "FittedEncoder", "ModelConfig"]

ENCODER, FIT_CURVE = "encoder.json", "epochs.json"
"""What an encoder's folder holds, and what a fit that goes on writes there after each epoch."""
_TENSORS, _IDS = "encoder.safetensors", "items.parquet"
_COUNTS, _FEATURES = "catalogue.counts", "catalogue.features"


@runtime_checkable
class ModelConfig(Protocol):
    """Settings that build a model and say how it is trained; a model's frozen dataclass."""

    @property
    def window(self) -> int:
        """T."""
        ...

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        ...

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        ...


@dataclass(frozen=True)
class FittedEncoder:
    """A trained model and all that is needed to use it on other data.

    Attributes:
        name: of its settings in :data:`recgym.encoders.MODELS`.
        config: settings.
        catalogue: what it was built for.
        model: in evaluation mode.
        item_ids: original id of item i at row i.
        channels: names of the feedback channels that it was trained with.
    """

    name: str
    config: ModelConfig
    catalogue: Catalogue
    model: NextItemModel
    item_ids: pl.Series
    channels: tuple[str, ...]

    def description(self) -> dict[str, Any]:
        """What :meth:`unfitted` builds the model from again, without its weights, as JSON can hold it."""
        catalogue = self.catalogue
        return {
            "model": self.name, "settings": settings_to_json(self.config), "items": catalogue.num_items,
            "features": 0 if catalogue.features is None else int(catalogue.features.shape[1]),
            "channels": list(self.channels), "scales": list(catalogue.feedback.scale), "timed": catalogue.timed,
        }  # fmt: skip

    @classmethod
    def unfitted(cls, description: Mapping[str, Any], models: dict[str, type[Any]]) -> "FittedEncoder":
        """The same model with fresh weights, to be replaced; popularity, features and ids of items are not known.

        Args:
            description: of :meth:`description`.
            models: the settings that there are, by name.

        Raises:
            ValueError: there is no such model, or a setting is unknown.
        """
        name, items = description["model"], int(description["items"])
        if name not in models:
            raise ValueError(f"there is no model {name!r}; there are: {', '.join(models)}")
        config = settings_from_json(models[name], description["settings"])
        features = np.zeros((items, description["features"]), np.float32) if description["features"] else None
        catalogue = Catalogue(
            items, np.ones(items, np.int64), FeedbackScale(tuple(description["scales"])), bool(description["timed"]),
            features,
        )  # fmt: skip
        ids = pl.Series("id", np.arange(items))
        return cls(name, config, catalogue, _fresh(config, catalogue).eval(), ids, tuple(description["channels"]))

    def sequence_encoder(self, channels: tuple[str, ...], name: str) -> SequenceEncoder:
        """The encoder of histories alone, to be the state of an agent.

        Args:
            channels: the feedback channels of what it will see.
            name: what that is called.

        Raises:
            ValueError: it was fitted to other feedback channels.
        """
        if self.model.encoder.events.channels and self.channels != channels:
            raise ValueError(
                f"{name}: its feedback channels are {', '.join(channels)}, the encoder was fitted to "
                f"{', '.join(self.channels)}"
            )
        return self.model.encoder

    def save(self, folder: Path | str, run: Mapping[str, Any] | None = None) -> None:
        """Write the encoder as a folder, all or nothing; what the folder of an older fit held is gone.

        Args:
            folder: of the encoder.
            run: JSON files about how it was fitted, by name, that are to lie beside it.
        """
        tensors = {f"model.{name}": part.contiguous().cpu() for name, part in self.model.state_dict().items()}
        tensors[_COUNTS] = torch.from_numpy(self.catalogue.counts.copy())
        if self.catalogue.features is not None:
            tensors[_FEATURES] = torch.from_numpy(self.catalogue.features.copy())
        with atomic_folder(folder, ENCODER, FIT_CURVE) as temporary:
            save_file(tensors, temporary / _TENSORS)
            pl.DataFrame({"id": self.item_ids}).write_parquet(temporary / _IDS)
            write_json(
                temporary / ENCODER,
                {
                    "format": "recgym-encoder", "version": 1, "model": self.name,
                    "settings": settings_to_json(self.config),
                    "channels": list(self.channels), "scales": list(self.catalogue.feedback.scale),
                    "timed": self.catalogue.timed,
                },
            )  # fmt: skip
            for name, value in (run or {}).items():
                write_json(temporary / name, value)

    @classmethod
    def load(cls, folder: Path | str, models: dict[str, type[Any]]) -> "FittedEncoder":
        """Read a folder written by :meth:`save`; see :func:`recgym.encoders.load_encoder`.

        Args:
            folder: of the encoder.
            models: the settings that there are, by name.

        Raises:
            ValueError: the folder holds no encoder, or a file of it is damaged; the sentence names it.
        """
        folder = Path(folder)
        meta = read_json(folder / ENCODER)
        if not isinstance(meta, dict) or meta.get("format") != "recgym-encoder":
            raise ValueError(f"{folder / ENCODER} does not describe a saved recgym encoder")
        if meta.get("version") != 1:
            raise ValueError(f"{folder / ENCODER} has version {meta.get('version')}, this recgym reads version 1")
        if meta.get("model") not in models:
            raise ValueError(
                f"{folder / ENCODER}: there is no model {meta.get('model')!r}; there are: {', '.join(models)}"
            )
        config = settings_from_json(models[meta["model"]], meta["settings"], str(folder / ENCODER))
        tensors = _read_tensors(folder / _TENSORS)
        ids = _read_ids(folder / _IDS)
        counts, features = tensors.pop(_COUNTS, None), tensors.pop(_FEATURES, None)
        if counts is None or len(counts) != len(ids):
            raise ValueError(f"{folder / _TENSORS} does not belong to the {len(ids)} items of {_IDS}")
        catalogue = Catalogue(
            len(ids), counts.numpy(), FeedbackScale(tuple(meta["scales"])), bool(meta["timed"]),
            None if features is None else features.numpy().astype(np.float32),
        )  # fmt: skip
        model = _fresh(config, catalogue)
        weights = {name.removeprefix("model."): part for name, part in tensors.items()}
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"{folder / _TENSORS} does not fit the settings in {ENCODER}: {error}") from error
        return cls(meta["model"], config, catalogue, model.eval(), ids, tuple(meta["channels"]))


def _fresh(config: ModelConfig, catalogue: Catalogue) -> NextItemModel:
    """A model whose weights are to be replaced; drawing them changes no other draw."""
    with torch.random.fork_rng(devices=[]):
        return config.build(catalogue)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not readable as safetensors: {error}") from error


def _read_ids(path: Path) -> pl.Series:
    try:
        return pl.read_parquet(path)["id"]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{path} is not readable as Parquet: {error}") from error
