"""LightGCN: embeddings averaged over layers of neighbours in a graph (He et al., SIGIR 2020).

The graph may be that of interactions alone, or have interests and facts too; the loss may be any of `ranking`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend import distributed
from cikg.recommend.data.views import SymmetricGraph, TrainingData, View, graph_view
from cikg.recommend.method import Gradient, Method, Span
from cikg.recommend.parts import losses
from cikg.recommend.parts.propagation import drop_edges, memory, propagate
from cikg.recommend.parts.ranking import SEARCH, Ranking, RankingConfig
from cikg.recommend.scorers import DotScorer

if TYPE_CHECKING:
    from cikg.recommend.parts.neighbourhoods import Neighbourhoods


class LightgcnConfig(RankingConfig):
    """Hyperparameters of LightGCN."""

    dimension: int = Field(64, ge=1, description="Width of an embedding")
    layers: int = Field(3, ge=0, description="Layers of neighbours that are averaged; 0 is matrix factorisation")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    graph: View = Field(
        View.CIKG, description="cg: interactions; cig: with interests; ckg: with facts; cikg: with both"
    )
    edge_dropout: float = Field(0.0, ge=0, lt=1, description="Share of edges dropped each step")
    fan_out: tuple[int, ...] = Field(
        (),
        description="Neighbours drawn per node, a number per layer, as 10,10,5: for graphs too large to propagate over",
    )

    @field_validator("fan_out", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        return tuple(given.split(",")) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _can_sample(self) -> Self:
        if self.fan_out and len(self.fan_out) != self.layers:
            raise ValueError(f"fan_out has {len(self.fan_out)} numbers, but there are {self.layers} layers")
        if self.fan_out and self.loss == "bsl":
            raise ValueError("the loss bsl compares with all items, which fan_out does not allow")
        if self.fan_out and self.edge_dropout:
            raise ValueError("edge_dropout drops edges of the whole graph, which fan_out does not read")
        return self


class Lightgcn(Gradient):
    """The module. Rows of `embeddings` are users, items, entities, interests, as far as the graph has them."""

    def __init__(self, data: TrainingData, config: LightgcnConfig, device: torch.device) -> None:
        super().__init__()
        self.config, self.nodes = config, data.nodes
        self._graph = graph_view(data, config.graph).to(device)
        empty = torch.empty(self._graph.nodes, config.dimension)
        self.embeddings = nn.Parameter(nn.init.xavier_uniform_(empty).to(device))
        self._ranking = Ranking(data, config, device, sampled=bool(config.fan_out))
        self._neighbourhoods: Neighbourhoods | None = None
        if config.fan_out:
            from cikg.recommend.parts.neighbourhoods import Neighbourhoods  # noqa: PLC0415 - PyG loads for seconds

            self._neighbourhoods = Neighbourhoods(self._graph.to(torch.device("cpu")), config.fan_out, device)

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: LightgcnConfig) -> int:
        return memory(data.nodes.total, data.edges, config.dimension)

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.learning_rate
        if self._neighbourhoods is not None:
            return {"recommend": torch.optim.SparseAdam([self.embeddings], lr=rate)}
        return {"recommend": torch.optim.Adam([self.embeddings], lr=rate, fused=True)}

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        if self._neighbourhoods is not None:
            yield from self._sampled_steps(self._neighbourhoods, epoch, generator)
            return
        dropout = self.config.edge_dropout
        for batch in self._ranking.batches(generator):
            graph = drop_edges(self._graph, dropout, generator) if dropout else self._graph
            users, items = self._users_and_items(graph)
            decay = self.config.weight_decay * self._ranking.squared_length(self.embeddings, batch)
            yield "recommend", self._ranking.loss(users, items, batch) + decay

    @override
    def scorer(self) -> DotScorer:
        return self._ranking.scorer(*self._users_and_items(self._graph))

    def _users_and_items(self, graph: SymmetricGraph) -> tuple[Tensor, Tensor]:
        encoded = propagate(graph, self.embeddings, self.config.layers)
        return encoded[: self.nodes.users], encoded[self.nodes.first_item : self.nodes.first_item + self.nodes.items]

    def _sampled_steps(
        self, neighbourhoods: Neighbourhoods, epoch: int, generator: torch.Generator
    ) -> Iterator[tuple[str, Tensor]]:
        """Each process draws around its own share of a batch, and touches no other rows of the table."""
        batches, first = list(self._ranking.batches(generator)), self.nodes.first_item
        # A last batch may be smaller than the team: who has no share of it takes a row, which then weighs nothing.
        shares = [batch[distributed.share(len(batch))] or batch[:1] for batch in batches]
        around = neighbourhoods.around([share.pairs(first) for share in shares], epoch)
        for batch, share, near in zip(batches, shares, around, strict=True):
            own = F.embedding(near.nodes, self.embeddings, sparse=True)
            encoded, count = near.encode(own, self.config.layers), len(share)
            users, things = F.embedding(near.ends, encoded)
            loss = self._ranking.loss_of(users[:count], things[:count], things[count:], share.numbered())
            decay = losses.squared_length(*F.embedding(near.ends[:, :count], own))
            yield "recommend", distributed.weigh(loss + self.config.weight_decay * decay, len(batch))


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
