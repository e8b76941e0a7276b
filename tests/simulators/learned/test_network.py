import copy

import torch
from torch.func import functional_call, stack_module_state, vmap

from recgym.data import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.network_shape import NetworkShape

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
SHAPE = NetworkShape(
    items=5, channels=1, parameters=1, potentials=0, profile=2, item_features=0, context=0, hidden=8, item_width=4,
    dropout=0.0, rivals=True, gaps=3,
)  # fmt: skip


def network(seed: int) -> ResponseNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ResponseNetwork(SHAPE, SCHEMA).eval()


def test_one_move_is_one_step_of_the_recurrent_layer() -> None:
    cell, draw = network(0), torch.Generator().manual_seed(1)
    inputs = torch.randn(3, 7, 5, generator=draw)
    state = torch.zeros(3, 8)
    states = cell.encode(inputs)
    for step in range(7):
        state = cell.move(state, inputs[:, step])
        assert torch.allclose(state, states[:, step + 1], atol=1e-6)


def test_moves_of_stacked_networks_are_those_of_each() -> None:
    networks, draw = [network(seed) for seed in range(3)], torch.Generator().manual_seed(2)
    parameters, buffers = stack_module_state(networks)
    skeleton = copy.deepcopy(networks[0]).to("meta")
    inputs, state = torch.randn(3, 4, 5, generator=draw), torch.randn(3, 4, 8, generator=draw)

    class Move(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = skeleton

        def forward(self, state: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
            return self.inner.move(state, inputs)

    def move(
        weights: dict[str, torch.Tensor], fixed: dict[str, torch.Tensor], state: torch.Tensor, inputs: torch.Tensor
    ) -> torch.Tensor:
        named = {f"inner.{name}": value for name, value in (weights | fixed).items()}
        moved: torch.Tensor = functional_call(Move(), named, (state, inputs))
        return moved

    moved = vmap(move)(parameters, buffers, state, inputs)
    for index, one in enumerate(networks):
        assert torch.allclose(moved[index], one.move(state[index], inputs[index]), atol=1e-6)
