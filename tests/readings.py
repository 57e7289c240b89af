"""How often a number is read from a tensor: on a GPU each reading waits for all that was asked of it."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Readings(TorchDispatchMode):
    """Within it, `count` is the number of `.item()`, `float(...)` and `if tensor:` so far. (`tolist` is not among them:
    it copies a tensor as a whole.)"""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ == "_local_scalar_dense"
        return func(*args, **(kwargs or {}))
