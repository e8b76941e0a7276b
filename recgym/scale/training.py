"""Encoders trained by several processes, each on its share of every batch, through Ray Train."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from recgym.encoders import Epoch, load_encoder
from recgym.encoders.batch import Example
from recgym.encoders.fitted import ENCODER, FIT_CURVE, FittedEncoder, ModelConfig
from recgym.evaluation.encoders import EncoderSplit, fit_encoder
from recgym.evaluation.ranking import RankingProtocol, RankingQueries
from recgym.files import check_replaceable, read_json, write_json
from recgym.scale import bridge

__all__ = ["Share", "fit_encoder_together"]


@dataclass(frozen=True)
class Share:
    """One of several processes of a torch process group; see :class:`recgym.encoders.fit.Team`.

    Every ``processes``-th row of a batch is this one's. A loss counts by the share of the targets that it was made of,
    so that losses and gradients which are means over targets add up to those of the whole batch.

    Attributes:
        number: from 0.
        processes: how many there are.
    """

    number: int
    processes: int

    def share(self, example: Example, num_items: int) -> tuple[Example, float]:
        """See :class:`recgym.encoders.fit.Team`. A batch of fewer rows than processes is worked on by all."""
        if len(example.users) < self.processes:
            return example, 1.0 / self.processes
        mine = _rows(example, self.number, self.processes)
        targets = [int((e.targets != num_items).sum() + (e.first != num_items).sum()) for e in (mine, example)]
        return mine, targets[0] / max(targets[1], 1)

    def add_up(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        """See :class:`recgym.encoders.fit.Team`. All travel as one array."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([loss.reshape(1), *(gradient.reshape(-1) for gradient in gradients)])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [1, *(gradient.numel() for gradient in gradients)])
        loss.copy_(parts[0][0])
        for parameter, part in zip(parameters, parts[1:], strict=True):
            # Without a gradient anywhere the optimiser leaves a parameter alone; with one somewhere all must move it.
            if parameter.grad is not None or bool(part.any()):
                parameter.grad = part.view_as(parameter)


def _rows(example: Example, first: int, every: int) -> Example:
    taken = {name: part[first::every] for name, part in example._asdict().items() if isinstance(part, Tensor)}
    return example._replace(inputs=example.inputs.map(lambda part: part[first::every]), **taken)


def fit_encoder_together(
    name: str,
    config: ModelConfig,
    split: EncoderSplit,
    seed: int,
    folder: Path,
    *,
    processes: int | None = None,
    protocol: Callable[[RankingQueries], RankingProtocol] = RankingQueries.protocol,
) -> tuple[FittedEncoder, tuple[Epoch, ...]]:
    """:func:`recgym.evaluation.fit_encoder` on the Ray cluster that this process is connected to.

    The encoder is that of one process but for rounding where the loss is a mean over targets and draws nothing: a
    softmax over all items without dropout. Negatives and dropout are drawn by each process for its own rows, and losses
    that compare the rows of a batch compare those of a share.

    Args:
        name: of the settings, in :data:`recgym.encoders.MODELS`.
        config: the settings.
        split: of :func:`recgym.evaluation.encoder_split`.
        seed: root seed.
        folder: where the encoder is written; all machines of the cluster must see it.
        processes: how many; each takes a processor and talks to the others through Gloo. All processors of the cluster
            if None.
        protocol: see :func:`recgym.evaluation.fit_encoder`.

    Returns:
        The encoder, and what each epoch achieved.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: ``processes`` is not positive, or other things stand in the folder.
    """
    if processes is None:
        processes = int(bridge.ray().cluster_resources()["CPU"])
    if processes < 1:
        raise ValueError(f"at least 1 process is needed, found {processes}")
    folder = check_replaceable(folder, ENCODER, FIT_CURVE)
    shared = [bridge.ray().put((name, config, split, seed, folder, protocol))]
    with tempfile.TemporaryDirectory(prefix=".recgym-", dir=folder.parent) as scratch:
        train = bridge.ray_train()
        with bridge.hushed():
            train.torch.TorchTrainer(
                _train, train_loop_config={"shared": shared, "epochs": f"{scratch}/epochs.json"},
                scaling_config=train.ScalingConfig(num_workers=processes),
                run_config=train.RunConfig(name="encoder", storage_path=scratch),
                torch_config=train.torch.TorchConfig(backend="gloo"),
            ).fit()  # fmt: skip
        epochs = tuple(Epoch(**row) for row in read_json(Path(scratch) / "epochs.json"))
    return load_encoder(folder), epochs


def _train(given: dict[str, Any]) -> None:
    """What each process does; the first one writes what came of it."""
    torch.set_num_threads(1)
    name, config, split, seed, folder, protocol = bridge.ray().get(given["shared"][0])
    place = bridge.ray_train().get_context()
    share = Share(place.get_world_rank(), place.get_world_size())
    encoder, epochs = fit_encoder(name, config, split, seed, protocol=protocol, team=share)
    if share.number == 0:
        encoder.save(folder)
        write_json(Path(given["epochs"]), [vars(epoch) for epoch in epochs])
