"""Training by several processes, started by `torchrun`: on several GPUs, or on several processors or machines.

    torchrun --standalone --nproc-per-node 2 --no-python cikg train lightgcn --dataset demo

Every process has the whole model and draws the same batches, takes the loss of its share of each, and learns from the
mean of all gradients. So the curve is that of one process with the same batches, up to the order of sums. The process
of rank 0 alone writes.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")


def size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return distributed.get_rank() if size() > 1 else 0


def follows() -> bool:
    """Whether this process was started to help another, which writes and reports."""
    return int(os.environ.get("RANK", "0")) > 0


def join(device: torch.device) -> None:
    """Join the other processes, if `torchrun` has started any, until this one ends."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or size() > 1:
        return
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)  # what is agreed on travels through the current device
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    atexit.register(distributed.destroy_process_group)


def share(count: int) -> slice:
    """This process's part of a batch of `count` rows; the parts differ by one row at most."""
    return slice(count * rank() // size(), count * (rank() + 1) // size())


def weigh(loss: Tensor, count: int) -> Tensor:
    """A mean over this process's share of a batch, such that the mean of all processes' is the batch's mean."""
    part = share(count)
    weighed: Tensor = loss * ((part.stop - part.start) * size() / count)
    return weighed


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients."""
    if size() == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            whole = parameter.grad.to_dense()
            distributed.all_reduce(whole)
            whole /= size()
            parameter.grad = whole.to_sparse(1) if parameter.grad.is_sparse else whole


def mean(value: float, device: torch.device) -> float:
    """The mean of all processes' values."""
    if size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return float(total) / size()


def agreed(value: Value) -> Value:
    """What the process of rank 0 says; the others' values are dropped."""
    if size() == 1:
        return value
    said = [value]
    distributed.broadcast_object_list(said)
    return said[0]
