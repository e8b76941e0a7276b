"""Networks of different widths made alike: padded with zeros, which changes nothing of what they compute.

A padded unit has no incoming weight and no bias. So a state that starts at 0 there stays at 0 (its candidate is
tanh(0)), a hidden unit is relu(0) = 0, an item vector is 0 where it is padded, and what is multiplied by any of these
adds nothing.
"""

import math

import torch
from torch import Tensor

from recgym.simulators.learned.network import MAX_POSITION
from recgym.simulators.learned.network_shape import NetworkShape

__all__ = ["padded", "widest"]

_Sizes = tuple[int, ...]


def widest(shapes: list[NetworkShape]) -> NetworkShape:
    """The smallest shape that holds all of them.

    Raises:
        ValueError: they differ in more than widths that can be padded.
    """
    first = shapes[0]
    widths = {name: max(getattr(shape, name) for shape in shapes) for name in ("hidden", "item_width", "gaps")}
    for shape in shapes:
        for name, value in vars(first).items():
            if name not in (*widths, "dropout") and getattr(shape, name) != value:
                raise ValueError(
                    f"the networks of a set must be of one log: {name} is {value} in the first and "
                    f"{getattr(shape, name)} in another"
                )
    # Half of an odd width would be cut off where the halves are computed.
    widths["hidden"] += widths["hidden"] % 2
    return NetworkShape(**{**vars(first), **widths, "dropout": 0.0})


def _blocks(shape: NetworkShape) -> dict[str, tuple[_Sizes, ...]]:
    """For each tensor of a network that depends on its widths, the blocks along each axis."""
    h, d, half = (shape.hidden,), (shape.item_width,), (shape.hidden // 2,)
    gates, user, brought = h * 3, (*h, shape.profile), (2 * shape.channels + 2,)
    gaps = (max(shape.gaps, 1),)
    layers: dict[str, tuple[_Sizes, _Sizes]] = {
        "feature_in": (d, (shape.item_features,)),
        "feedback_in": (d, (shape.channels,)),
        "step_in": (h, (*user, 1)),
        "item_in": (h, (*d, shape.context)),
        "interest": (d, user),
        "pair_in": (h, (*d, 1)),
        "rivals_in": (h, h),
        "inner": (h, h),
        "out": ((shape.parameters - shape.potentials,), h),
        "leave_in": (half, (*user, *brought, 2)),
        "leave_out": ((1,), half),
        "return_in": (half, (*user, *brought, 3)),
        "return_out": (gaps, half),
    }
    blocks: dict[str, tuple[_Sizes, ...]] = {}
    for name, (out, into) in layers.items():
        blocks[f"{name}.weight"], blocks[f"{name}.bias"] = (out, into), (out,)
    return blocks | {
        "gru.weight_ih_l0": (gates, (*d, 1)),
        "gru.weight_hh_l0": (gates, h),
        "gru.bias_ih_l0": (gates,),
        "gru.bias_hh_l0": (gates,),
        "position.weight": ((MAX_POSITION + 2,), h),
        "embedding.weight": ((shape.items + 1,), d),
        "gap_edges": ((shape.gaps + 1,),),
    }


def padded(state: dict[str, Tensor], shape: NetworkShape, wide: NetworkShape) -> dict[str, Tensor]:
    """The tensors of a network of one shape as those of a wider one that computes the same.

    Args:
        state: as ``ResponseNetwork.state_dict()`` gives it.
        shape: its shape.
        wide: see :func:`widest`.
    """
    old, new = _blocks(shape), _blocks(wide)
    out = {}
    for name, tensor in state.items():
        never = name == "return_out.bias" and shape.gaps == 0
        out[name] = torch.full_like(tensor, -math.inf) if never else tensor
        if name in old:
            # Nobody comes back within a range that the network does not know.
            blank = -math.inf if name == "return_out.bias" else 1.0 if name == "gap_edges" else 0.0
            for axis, (narrow, broad) in enumerate(zip(old[name], new[name], strict=True)):
                out[name] = _widened(out[name], axis, narrow, broad, blank)
    return out


def _widened(tensor: Tensor, axis: int, narrow: _Sizes, broad: _Sizes, blank: float) -> Tensor:
    """Each block along an axis filled up at its end."""
    parts = []
    for part, size in zip(torch.split(tensor, list(narrow), axis), broad, strict=True):
        shape = [*part.shape]
        shape[axis] = size - part.shape[axis]
        parts += [part, part.new_full(shape, blank)]
    return torch.cat(parts, axis)
