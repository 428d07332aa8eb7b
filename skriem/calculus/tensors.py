"""Arrays that are kept, as tensors where they are needed."""

from abc import ABC, abstractmethod

import torch


class KeepsTensors(ABC):
    """What an object needs for tensors of a dtype on a device, made on first use.

    It is left out of pickles, which so do not depend on torch's devices.
    """

    def on(self, dtype=torch.float64, device=None):
        """What ``_made_for`` makes, kept."""
        key = dtype, torch.device("cpu" if device is None else device)
        kept = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            # Tensors of inference mode could not be used where gradients are taken.
            with torch.inference_mode(False):
                kept[key] = self._made_for(*key)
        return kept[key]

    def _on(self, z):
        """The same for a tensor's dtype and device."""
        return self.on(z.dtype, z.device)

    @abstractmethod
    def _made_for(self, dtype, device):
        """Make what is needed."""

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}
