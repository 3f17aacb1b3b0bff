"""LightGCN: embeddings, averaged over layers of a graph's neighbours (He et al., SIGIR 2020).

The graph may be that of interactions alone, or have interests and facts too; the loss may be any of `ranking`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend import losses
from cikg.recommend.method import Gradient, Method, Span
from cikg.recommend.propagation import drop_edges, propagate
from cikg.recommend.ranking import SEARCH, Batch, Ranking, RankingConfig
from cikg.recommend.scorers import DotScorer
from cikg.recommend.views import SymmetricGraph, TrainingData, View, graph_view


class LightgcnConfig(RankingConfig):
    """Hyper-parameters of LightGCN."""

    dimension: int = Field(64, ge=1, description="Width of an embedding")
    layers: int = Field(3, ge=0, description="Layers of neighbours that are averaged; 0 is matrix factorisation")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    graph: View = Field(View.CIKG, description="cg: interactions; cig: and interests; ckg: and facts; cikg: all")
    edge_dropout: float = Field(0.0, ge=0, lt=1, description="Share of edges dropped each step")


class Lightgcn(Gradient):
    """The module. Rows of `embeddings` are users, items, entities, interests, as far as the graph has them."""

    def __init__(self, data: TrainingData, config: LightgcnConfig, device: torch.device) -> None:
        super().__init__()
        self.config, self.nodes = config, data.nodes
        self._graph = graph_view(data, config.graph).to(device)
        empty = torch.empty(self._graph.nodes, config.dimension)
        self.embeddings = nn.Parameter(nn.init.xavier_uniform_(empty).to(device))
        self._ranking = Ranking(data, config, device)

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"recommend": torch.optim.Adam([self.embeddings], lr=self.config.learning_rate, fused=True)}

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        dropout = self.config.edge_dropout
        for batch in self._ranking.batches(generator):
            graph = drop_edges(self._graph, dropout, generator) if dropout else self._graph
            users, items = self._users_and_items(graph)
            yield "recommend", self._ranking.loss(users, items, batch) + self._decay(batch)

    @override
    def scorer(self) -> DotScorer:
        return self._ranking.scorer(*self._users_and_items(self._graph))

    def _users_and_items(self, graph: SymmetricGraph) -> tuple[Tensor, Tensor]:
        encoded = propagate(graph, self.embeddings, self.config.layers)
        return encoded[: self.nodes.users], encoded[self.nodes.first_item : self.nodes.first_item + self.nodes.items]

    def _decay(self, batch: Batch) -> Tensor:
        """Of the interactions' ends; one look-up, since each writes a gradient of the whole table."""
        ends = F.embedding(torch.cat([batch.user, batch.item + self.nodes.first_item]), self.embeddings)
        return self.config.weight_decay * losses.squared_length(*ends.chunk(2))


METHOD = Method(
    paper="X. He, K. Deng, X. Wang, Y. Li, Y. Zhang, M. Wang: LightGCN: simplifying and powering graph convolution "
    "network for recommendation. SIGIR 2020",
    departures=(
        "the loss is a softmax over all items under cosine similarity (loss=bpr is the paper's)",
        "interests and facts are part of the graph where there are any (graph=cg is the paper's)",
    ),
    config=LightgcnConfig,
    build=Lightgcn,
    epochs=60,
    patience=5,
    search=SEARCH
    | {
        "layers": Span(1, 4),
        "learning_rate": Span(0.001, 0.01, log=True),
        "weight_decay": Span(1e-6, 1e-3, log=True),
        "graph": ("cg", "cig", "ckg", "cikg"),
    },
)
