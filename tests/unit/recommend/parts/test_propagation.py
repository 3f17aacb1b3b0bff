from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch

from cikg.recommend.data.views import SymmetricGraph
from cikg.recommend.parts.propagation import drop_edges, multiply, propagate

NODES, WIDTH = 30, 8


@pytest.fixture
def graph() -> SymmetricGraph:
    random = np.random.default_rng(3)
    return SymmetricGraph.of(NODES, random.integers(0, NODES - 2, 90), random.integers(0, NODES - 2, 90))


def dense(graph: SymmetricGraph) -> torch.Tensor:
    matrix = torch.zeros(graph.nodes, graph.nodes, dtype=graph.weights.dtype)
    matrix[graph.rows.long(), graph.neighbours.long()] = graph.weights
    return matrix


def test_propagation_is_the_mean_of_dense_powers(graph: SymmetricGraph) -> None:
    matrix, layer = dense(graph), torch.randn(NODES, WIDTH)
    expected = (layer + matrix @ layer + matrix @ matrix @ layer + matrix @ matrix @ matrix @ layer) / 4
    torch.testing.assert_close(propagate(graph, layer, 3), expected)
    torch.testing.assert_close(multiply(graph, layer), matrix @ layer)


def test_propagation_equals_pyg_and_so_does_its_gradient(graph: SymmetricGraph) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyG's own
        from torch_geometric.nn import LGConv  # noqa: PLC0415
    edge_index = torch.stack([graph.neighbours.long(), graph.rows.long()])
    ours = torch.randn(NODES, WIDTH, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    layer, total, convolution = theirs, theirs, LGConv(normalize=True)
    for _ in range(3):
        layer = convolution(layer, edge_index)
        total = total + layer
    weight = torch.randn(NODES, WIDTH)
    (total / 4 * weight).sum().backward()
    result = propagate(graph, ours, 3)
    (result * weight).sum().backward()
    torch.testing.assert_close(result, total / 4)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_the_gradient_is_that_of_finite_differences(graph: SymmetricGraph, layers: int) -> None:
    exact = dataclasses.replace(graph, weights=graph.weights.double())
    embeddings = torch.randn(NODES, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: propagate(exact, x, layers), (embeddings,))


def test_a_node_without_edges_keeps_a_share_of_its_own(graph: SymmetricGraph) -> None:
    embeddings = torch.randn(NODES, WIDTH)
    torch.testing.assert_close(propagate(graph, embeddings, 3)[-1], embeddings[-1] / 4)


def test_noise_has_its_length_and_stays_in_the_orthant(graph: SymmetricGraph) -> None:
    embeddings = torch.randn(NODES, WIDTH)
    generator = torch.Generator().manual_seed(0)
    plain = propagate(graph, embeddings, 1)
    noise = (propagate(graph, embeddings, 1, noise=0.1, generator=generator) - plain) * 2
    layer = multiply(graph, embeddings)
    touched = layer.abs().sum(1) > 0
    torch.testing.assert_close(noise[touched].norm(dim=1), torch.full((int(touched.sum()),), 0.1), rtol=1e-3, atol=1e-5)
    assert (noise * layer >= -1e-6).all()
    assert noise.std() > 0


def test_dropping_edges_keeps_symmetry_self_loops_and_normalisation() -> None:
    random = np.random.default_rng(4)
    graph = SymmetricGraph.of(200, random.integers(0, 200, 4000), random.integers(0, 200, 4000), self_loops=True)
    dropped = drop_edges(graph, 0.3, torch.Generator().manual_seed(0))
    matrix = dense(dropped)
    degree = (matrix > 0).sum(1)
    torch.testing.assert_close(matrix, matrix.T)
    assert (matrix.diagonal() > 0).all()
    scale = degree.float().rsqrt()
    torch.testing.assert_close(matrix[matrix > 0], (scale[:, None] * scale)[matrix > 0])
    kept = (int((matrix > 0).sum()) - 200) / (graph.edges - 200)
    assert kept == pytest.approx(0.7, abs=0.03)
    assert drop_edges(graph, 0.0, torch.Generator()).weights.equal(graph.weights) or torch.allclose(
        drop_edges(graph, 0.0, torch.Generator()).weights, graph.weights
    )
