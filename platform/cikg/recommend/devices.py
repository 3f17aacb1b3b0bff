"""What memory a device has left."""

from __future__ import annotations

import torch

from cikg.memory import available_memory


def free_memory(device: torch.device) -> int:
    """Bytes that a training on `device` can still take: of the GPU's memory, or of the machine's.

    What torch has freed it keeps, for its next tensors: the GPU counts that as taken.
    """
    if device.type != "cuda":
        return available_memory()
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept
