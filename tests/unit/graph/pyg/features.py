"""A feature store without features, for loaders of graphs that have none."""

from __future__ import annotations

from typing import Any

from torch_geometric.data import FeatureStore


class NoFeatures(FeatureStore):
    """A feature store without features."""

    def get_all_tensor_attrs(self) -> list[Any]:
        return []

    def _get_tensor(self, attr: Any) -> None:
        return None

    def _get_tensor_size(self, attr: Any) -> None:
        return None

    def _put_tensor(self, tensor: Any, attr: Any) -> bool:
        return False

    def _remove_tensor(self, attr: Any) -> bool:
        return False
