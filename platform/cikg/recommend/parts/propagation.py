"""LightGCN's propagation (He et al., SIGIR 2020) over a symmetric matrix.

The mean of all layers is a polynomial in A. Since A = Aᵀ, its gradient is the same polynomial of the incoming
gradient: backward is forward, no intermediate layer is kept, and no message is ever stored per edge.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cikg.recommend.data.views import SymmetricGraph


def multiply(graph: SymmetricGraph, embeddings: Tensor) -> Tensor:
    """A·X, without a gradient.

    A weighted bag of embeddings is a row of this product; its kernel runs three times as fast on a CPU as the
    general sparse product.

    Args:
        graph: A, N × N.
        embeddings: X, shape (N, d).
    """
    return F.embedding_bag(
        graph.neighbours,
        embeddings,
        graph.offsets,
        mode="sum",
        per_sample_weights=graph.weights,
        include_last_offset=True,
    )


@dataclass(frozen=True)
class _Polynomial:
    """X ↦ (X + AX + … + AᴸX) / (L + 1)."""

    graph: SymmetricGraph
    layers: int

    def __call__(self, embeddings: Tensor, noise: float = 0.0, generator: torch.Generator | None = None) -> Tensor:
        layer, total = embeddings, embeddings.clone()
        for _ in range(self.layers):
            layer = multiply(self.graph, layer)
            if noise:
                # SimGCL (Yu et al., SIGIR 2022): a random direction within each embedding's own orthant.
                random = torch.rand(layer.shape, generator=generator, device=layer.device)
                layer.add_(layer.sign() * F.normalize(random, dim=1), alpha=noise)
            total += layer
        return total.div_(self.layers + 1)


class _LayerMean(torch.autograd.Function):
    """The polynomial, and itself as its gradient; the noise is constant wherever the gradient exists."""

    @staticmethod
    def forward(
        context: Any, embeddings: Tensor, polynomial: _Polynomial, noise: float, generator: torch.Generator | None
    ) -> Tensor:
        context.polynomial = polynomial
        return polynomial(embeddings, noise, generator)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return context.polynomial(gradients[0].contiguous()), None, None, None


def propagate(
    graph: SymmetricGraph,
    embeddings: Tensor,
    layers: int,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The mean of `layers` + 1 layers of LightGCN.

    Args:
        graph: the normalised adjacency matrix of N nodes.
        embeddings: layer 0, shape (N, d).
        layers: L ≥ 0.
        noise: length of SimGCL's perturbation of each layer but the 0th.
        generator: source of the noise.

    Returns:
        Shape (N, d).
    """
    embeddings = embeddings.to(graph.weights.dtype)  # sums over neighbours stay exact where products are not
    result: Tensor = _LayerMean.apply(embeddings, _Polynomial(graph, layers), noise, generator)
    return result


def memory(nodes: int, edges: int, width: int) -> int:
    """Bytes that training an embedding table by propagation over one graph holds.

    The table, its gradient and Adam's two moments are 16 bytes a number; a propagation has the layer, the sum and the
    next layer, and its gradient the same again, of 4 bytes a number. An edge is an entry each way, of 16 bytes each;
    while the graph is made there are six columns of 8 bytes beside them.

    Args:
        nodes: N.
        edges: undirected ones.
        width: d.
    """
    return nodes * width * (16 + 6 * 4) + 2 * edges * (16 + 6 * 8)


def drop_edges(graph: SymmetricGraph, rate: float, generator: torch.Generator) -> SymmetricGraph:
    """Drop undirected edges with probability `rate` and normalise what is left; self-loops stay.

    The structure is kept and dropped entries weigh nothing: cheaper than building a smaller matrix every step.
    """
    device = graph.weights.device
    kept = torch.rand(graph.undirected, generator=generator, device=device).ge_(rate)[graph.mirror]
    kept[graph.rows == graph.neighbours] = 1.0
    degree = multiply(dataclasses.replace(graph, weights=kept), torch.ones(graph.nodes, 1, device=device))
    scale = degree.squeeze(1).clamp_min_(1.0).rsqrt_()
    return dataclasses.replace(graph, weights=kept.mul_(scale[graph.rows]).mul_(scale[graph.neighbours]))
