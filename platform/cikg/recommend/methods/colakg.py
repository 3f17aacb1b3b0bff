"""CoLaKG: LightGCN with an LLM's descriptions of users and items (Cui et al., 2024).

An adapter brings a text's vector into the space of the embeddings, where it is added to the node's own. Each item is
joined with those whose texts are most like its own, to which no path of interactions may lead; and the graph does the
rest. An item that nobody has chosen still has its text and these neighbours. What texts alone say of who chooses what
joins when all this is learned: `matching`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend.data.views import Array, SymmetricGraph, TrainingData, View, graph_view
from cikg.recommend.method import Gradient, Method, Span
from cikg.recommend.methods.seekrec import with_neighbours
from cikg.recommend.parts import matching
from cikg.recommend.parts.propagation import drop_edges, propagate
from cikg.recommend.parts.ranking import SEARCH, Ranking
from cikg.recommend.scorers import DotScorer
from cikg.text.distillation import distill


class ColakgConfig(matching.TasteConfig):
    """Hyperparameters of CoLaKG."""

    dimension: int = Field(64, ge=1, description="Width of an embedding")
    layers: int = Field(2, ge=0, description="Layers of neighbours in the graph that are averaged")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    graph: View = Field(
        View.CIKG, description="cg: interactions; cig: with interests; ckg: with facts; cikg: with both"
    )
    edge_dropout: float = Field(0.0, ge=0, lt=1, description="Share of edges dropped each step")
    texts: Literal["both", "users", "items", "none"] = Field("both", description="Whose texts are used")
    text_weight: float = Field(1.0, ge=0, description="Length of a text's part beside an embedding's; 0 for no texts")
    text_dropout: float = Field(0.2, ge=0, lt=1, description="Share of a text vector's numbers dropped each step")
    adapter_learning_rate: float = Field(5e-4, gt=0, description="Adam's step size for the adapter")
    hidden: int = Field(0, ge=0, description="Width of the adapter's hidden layer; 0 for a linear adapter")
    neighbours: int = Field(10, ge=0, description="Items with similar texts that each item is connected to; 0 for none")


class Colakg(Gradient):
    """The module. Rows of `embeddings` are users, items, entities, interests, as far as the graph has them."""

    def __init__(self, data: TrainingData, config: ColakgConfig, device: torch.device) -> None:
        super().__init__()
        self.config, self.nodes = config, data.nodes
        texts = _texts(data, config)
        known: Array = np.any(texts[1], axis=1)
        graph, view = with_neighbours(data, config.graph, texts[1], known, config.neighbours)
        self._graph = graph_view(graph, view).to(device)
        empty = torch.empty(self._graph.nodes, config.dimension)
        self.embeddings = nn.Parameter(nn.init.xavier_uniform_(empty).to(device))
        self._has_text = texts[0].shape[1] > 0
        if self._has_text:
            self.adapter = _adapter(texts[0].shape[1], config).to(device)
            self._user_text, self._item_text = (torch.from_numpy(each).to(device) for each in texts)
            own = config.profile_weight * texts[0]
            self._taste = matching.tastes(data, texts[1], config.taste_penalty, device, own=own)
            # A node without an edge has nothing to learn an embedding from: its text alone counts.
            self._linked = (self._graph.offsets.diff() > 0).to(torch.float32)[:, None]
        chosen = np.bincount(data.fit.item_index, minlength=data.nodes.items) > 0
        self._chosen = torch.from_numpy(chosen[:, None]).to(device, torch.float32)
        self._ranking = Ranking(data, config, device)

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: ColakgConfig) -> int:
        return matching.memory(data, config.dimension, config.neighbours)

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        config = self.config
        groups = [{"params": [self.embeddings], "lr": config.learning_rate}]
        if self._has_text:
            groups.append({"params": list(self.adapter.parameters()), "lr": config.adapter_learning_rate})
        return {"recommend": torch.optim.Adam(groups, fused=True)}

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        dropout = self.config.edge_dropout
        for batch in self._ranking.batches(generator):
            graph = drop_edges(self._graph, dropout, generator) if dropout else self._graph
            users, items = self._users_and_items(graph, generator)
            # A vector of zeros teaches nothing: that nobody has chosen an item yet says nothing against it.
            decay = self.config.weight_decay * self._ranking.squared_length(self.embeddings, batch)
            yield "recommend", self._ranking.loss(users, items * self._chosen, batch) + decay

    @override
    def scorer(self) -> DotScorer:
        return next(self.candidates())[1]

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], DotScorer]]:
        learned = self._ranking.scorer(*self._users_and_items(self._graph, None))
        if not self._has_text:
            yield {}, learned
            return
        for weight in self.config.taste_weights(self._taste):
            share = weight * self._taste.user_vectors.any(1)
            yield {"taste_weight": weight}, DotScorer(*matching.beside(learned, self._taste, share))

    def _users_and_items(self, graph: SymmetricGraph, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        nodes = self.nodes
        encoded = propagate(graph, self._fused(generator), self.config.layers)
        return encoded[: nodes.users], encoded[nodes.first_item : nodes.first_item + nodes.items]

    def _fused(self, generator: torch.Generator | None) -> Tensor:
        """Embeddings with what texts add; with dropout where there is a generator."""
        if not self._has_text:
            return self.embeddings
        first, last = self.nodes.first_item, self.nodes.first_item + self.nodes.items
        weight, dropout = self.config.text_weight, self.config.text_dropout if generator is not None else 0.0
        own = self.embeddings * self._linked
        users = own[:first] + weight * self.adapter(_dropped(self._user_text, dropout, generator))
        items = own[first:last] + weight * self.adapter(_dropped(self._item_text, dropout, generator))
        return torch.cat([users, items, own[last:]])


def _texts(data: TrainingData, config: ColakgConfig) -> list[Array]:
    """Vectors of users' and of items' texts; zero for those that are left out, and of no width where all are."""
    each = {"users": data.trusted_user_profile, "items": data.item_profile}
    if not config.text_weight or config.texts == "none":
        return [vectors[:, :0] for vectors in each.values()]
    read = [matching.centred(vectors) * (config.texts in ("both", kind)) for kind, vectors in each.items()]
    together = np.concatenate(read)
    if together.any():
        together = distill(together, rank=config.taste_rank).vectors
    return np.split(matching.unit(together).astype(np.float32), [data.nodes.users])


def _adapter(width: int, config: ColakgConfig) -> nn.Module:
    """From a text's vector into the space of embeddings, at first without changing what is alike."""
    shape = [width, config.hidden, config.dimension] if config.hidden else [width, config.dimension]
    layers = [nn.Linear(*each, bias=False) for each in pairwise(shape)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    return nn.Sequential(layers[0], *(part for layer in layers[1:] for part in (nn.LeakyReLU(), layer)))


def _dropped(vectors: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Dropout whose randomness is the training's own."""
    if not rate or generator is None:
        return vectors
    kept = torch.rand(vectors.shape, generator=generator, device=vectors.device).ge_(rate)
    return vectors * kept / (1 - rate)


METHOD = Method(
    paper="Z. Cui, Y. Weng, X. Tang, F. Lyu, D. Liu, X. He, C. Ma: Comprehending knowledge graphs with large language "
    "models for recommender systems. SIGIR 2025",
    departures=(
        "the loss is a softmax over all items under cosine similarity (loss=bpr is the paper's)",
        "interests and facts are part of the graph where there are any (graph=cg is the paper's)",
        "neighbours by text are edges of the graph, where the paper aggregates them before it by attention",
        "a ridge regression of choices on texts is fitted alone and added to the learned scores (taste_weight=0 leaves "
        "it out)",
        "texts are embedded by whatever `cikg embed` was told to use, cut to their leading directions, and not tuned",
    ),
    config=ColakgConfig,
    build=Colakg,
    cautious=("profiles",),
    epochs=60,
    patience=5,
    search=SEARCH
    | {
        "layers": Span(1, 4),
        "learning_rate": Span(0.001, 0.01, log=True),
        "weight_decay": Span(1e-6, 1e-3, log=True),
        "text_weight": Span(0.1, 3.0, log=True),
        "text_dropout": Span(0.0, 0.5),
        "neighbours": Span(0, 20),
        "taste_penalty": Span(1.0, 100.0, log=True),
    },
)
