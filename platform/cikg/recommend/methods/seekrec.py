"""SeeKRec: LLM profiles of users and items, distilled and mixed with the collaborative signal by a gate.

The vectors of the profiles lose their mean and are cut to the directions that say most (truncated singular value
decomposition). For each user and item n a gate g then mixes K + 1 experts, before LightGCN's layers:

    h_n = g_n0·e_n + Σ_k g_nk·(W_k s_n + b_k),    g_n = softmax(V·[e_n, s_n, log sparsity_n])

where e_n is the node's own embedding and s_n its distilled vector. Where there is no profile, e_n has all the weight;
where there is no interaction, the experts that read the profile have it. Items whose profiles are alike are neighbours
in the graph besides. One more expert, of profiles alone, joins when all this is learned: `matching`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend.data.views import Array, TrainingData, View, graph_view
from cikg.recommend.method import Gradient, Method, Span
from cikg.recommend.parts import matching
from cikg.recommend.parts.propagation import propagate
from cikg.recommend.parts.ranking import SEARCH, Ranking
from cikg.recommend.scorers import GatedScorer
from cikg.text.distillation import distill

BLOCK = 1024
"""Items whose neighbours are looked for at once."""


class SeekrecConfig(matching.TasteConfig):
    """Hyperparameters of SeeKRec, and what of it to leave out."""

    dimension: int = Field(64, ge=1, description="Width of an embedding")
    layers: int = Field(2, ge=0, description="Layers of neighbours that are averaged")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    graph: View = Field(
        View.CIKG, description="cg: interactions; cig: with interests; ckg: with facts; cikg: with both"
    )
    semantics: Literal["both", "users", "items", "none"] = Field("both", description="Whose profiles are used")
    distillation: bool = Field(True, description="Cut the profiles' vectors to the directions that say most")
    rank: int = Field(32, ge=1, description="How many directions the experts read, where no energy is given")
    energy: float | None = Field(None, gt=0, le=1, description="Keep this share of the squared singular values instead")
    experts: int = Field(2, ge=1, description="K, the experts that read the profiles")
    gate: Literal["subject", "global", "equal"] = Field(
        "subject", description="How experts are weighted: by a gate per user or item, by one gate for all, or equally"
    )
    neighbours: int = Field(
        10, ge=0, description="Items with similar profiles that each item is connected to; 0 for none"
    )


class Seekrec(Gradient):
    """The module. Rows of `embeddings` are users, items, entities, interests, as far as the graph has them."""

    def __init__(self, data: TrainingData, config: SeekrecConfig, device: torch.device) -> None:
        super().__init__()
        self.config, self.nodes = config, data.nodes
        self._subjects = data.nodes.users + data.nodes.items
        semantic, tasted, known, self.energy = _semantics(data, config)
        of_users, of_items = np.split(matching.unit(tasted), [data.nodes.users])
        described = known[data.nodes.users :]
        graph, view = with_neighbours(data, config.graph, of_items, described, config.neighbours)
        self._graph = graph_view(graph, view).to(device)
        empty = torch.empty(self._graph.nodes, config.dimension)
        self.embeddings = nn.Parameter(nn.init.xavier_uniform_(empty))
        self.experts = nn.ModuleList(nn.Linear(semantic.shape[1], config.dimension) for _ in range(config.experts))
        self.gate = nn.Linear(config.dimension + semantic.shape[1] + 1, config.experts + 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        self.to(device)
        self._semantic = torch.from_numpy(semantic).to(device, torch.float32)
        own = config.profile_weight * of_users
        self._taste = matching.tastes(data, of_items, config.taste_penalty, device, own=own)
        counts = _interactions(data)
        # Who has nothing to learn from but a profile, and who has no profile: the other experts are silent there.
        silent = np.stack([known & (counts == 0), *[~known] * config.experts], axis=1)
        self._silent = torch.from_numpy(silent).to(device)
        self._chosen = torch.from_numpy(counts[data.nodes.users :, None] > 0).to(device, torch.float32)
        self._sparsity = torch.from_numpy(_standardised(np.log1p(counts))[:, None]).to(device, torch.float32)
        self._ranking = Ranking(data, config, device)

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: SeekrecConfig) -> int:
        return matching.memory(data, config.dimension, config.neighbours)

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"recommend": torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, fused=True)}

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for batch in self._ranking.batches(generator):
            users, items = self._encode(self._gates())
            # A vector of zeros teaches nothing: that nobody has chosen an item yet says nothing against it.
            decay = self.config.weight_decay * self._ranking.squared_length(self.embeddings, batch)
            yield "recommend", self._ranking.loss(users, items * self._chosen, batch) + decay

    @override
    def scorer(self) -> GatedScorer:
        return next(self.candidates())[1]

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], GatedScorer]]:
        gates = self._gates()
        learned = self._ranking.scorer(*self._encode(gates))
        for weight in self.config.taste_weights(self._taste):
            share = weight * self._taste.user_vectors.any(1)
            of_users = torch.cat([gates[: self.nodes.users] * (1 - share)[:, None], share[:, None]], dim=1)
            vectors = matching.beside(learned, self._taste, share)
            scorer = GatedScorer(*vectors, of_users, gates[self.nodes.users :].clone(), torch.tensor(self.energy))
            yield {"taste_weight": weight}, scorer

    def _gates(self) -> Tensor:
        """g: the weight of each expert for each user and item, the collaborative one first; (users + items, K + 1)."""
        if self.config.gate == "subject":
            own = F.normalize(self.embeddings[: self._subjects], dim=1)
            logits = self.gate(torch.cat([own, F.normalize(self._semantic, dim=1), self._sparsity], dim=1))
        else:
            logits = self.gate.bias.expand(self._subjects, -1) * (self.config.gate == "global")
        return torch.softmax(logits.masked_fill(self._silent, -torch.inf), dim=1)

    def _encode(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of users and of items."""
        own, others = self.embeddings[: self._subjects], self.embeddings[self._subjects :]
        mixed = gates[:, :1] * own
        for place, expert in enumerate(self.experts, start=1):
            mixed = mixed + gates[:, place : place + 1] * expert(self._semantic)
        encoded = propagate(self._graph, torch.cat([mixed, others]), self.config.layers)
        return encoded[: self.nodes.users], encoded[self.nodes.users : self._subjects]


def _semantics(data: TrainingData, config: SeekrecConfig) -> tuple[Array, Array, Array, float]:
    """Distilled vectors of users, then items.

    Returns:
        For the experts, shape (users + items, rank), with a mean square length of 1, zero where there is none; for
        tastes the same with other directions; which of them have one, shape (users + items,); and the share of the
        energy that is left to the experts, from 0 to 1.
    """
    vectors = np.concatenate([data.trusted_user_profile, data.item_profile]).astype(np.float64)
    known: Array = np.isfinite(vectors).all(axis=1, keepdims=False) & (vectors.shape[1] > 0)
    known[: data.nodes.users] &= config.semantics in ("both", "users")
    known[data.nodes.users :] &= config.semantics in ("both", "items")
    if known.sum() < 2:
        return np.zeros((len(vectors), 1)), np.zeros((len(vectors), 1)), np.zeros(len(vectors), dtype=bool), 0.0
    whole = matching.centred(np.where(known[:, None], vectors, np.nan))
    if config.distillation and whole.any():
        rank = config.rank if config.energy is None else distill(whole, energy=config.energy).rank
        made = distill(whole, rank=max(rank, config.taste_rank)).vectors
        read, tasted = made[:, :rank], made[:, : config.taste_rank]
    else:
        read = tasted = whole
    energy = np.square(read).sum() / max(np.square(whole).sum(), 1e-12)
    length = np.sqrt(np.square(read[known]).sum(axis=1).mean())
    return read / max(length, 1e-12), tasted, known, float(energy)


def _interactions(data: TrainingData) -> Array:
    """How many interactions each user and each item has: shape (users + items,)."""
    ends = ((data.fit.user_index, data.nodes.users), (data.fit.item_index, data.nodes.items))
    return np.concatenate([np.bincount(index, minlength=count) for index, count in ends])


def _standardised(values: Array) -> Array:
    """With a mean of 0 and a deviation of 1."""
    standard: Array = (values - values.mean()) / max(values.std(), 1e-12)
    return standard


def with_neighbours(
    data: TrainingData, view: View, vectors: Array, known: Array, count: int
) -> tuple[TrainingData, View]:
    """The data with alike items as facts of one more relation, and the view that has them beside what is asked for.

    Args:
        data: the data.
        view: what is asked for.
        vectors: by which items are alike; shape (items, rank).
        known: which items have one; shape (items,).
        count: neighbours an item; with 0, everything stays as it is.
    """
    if not count or not known.any():
        return data, view
    item, other = alike(vectors, known, count)
    relation = np.full(len(item), data.relations, dtype=np.int64)
    if view in (View.CKG, View.CIKG):
        item, other = np.concatenate([data.head_index, item]), np.concatenate([data.tail_index, other])
        relation = np.concatenate([data.relation_index, relation])
    view = {View.CG: View.CKG, View.CIG: View.CIKG}.get(view, view)
    widened = dataclasses.replace(
        data, head_index=item, relation_index=relation, tail_index=other, relations=data.relations + 1
    )
    return widened, view


def alike(vectors: Array, known: Array, count: int) -> tuple[Array, Array]:
    """Each item with those of the greatest cosine to it.

    Args:
        vectors: shape (items, rank).
        known: which items have a vector; the others have no neighbours and are none.
        count: neighbours an item.

    Returns:
        Items and their neighbours, int64, shape (pairs,).
    """
    rows = np.flatnonzero(known)
    count = min(count, len(rows) - 1)
    unit = F.normalize(torch.from_numpy(vectors[rows]).float(), dim=1)
    nearest = []
    for start in range(0, len(rows) if count > 0 else 0, BLOCK):
        cosines = unit[start : start + BLOCK] @ unit.T
        own = torch.arange(len(cosines))
        cosines[own, own + start] = -torch.inf
        nearest.append(torch.topk(cosines, count, dim=1).indices)
    found = torch.cat(nearest).numpy() if nearest else np.empty((0, 0), dtype=np.int64)
    return np.repeat(rows[: len(found)], max(count, 0)), rows[found.ravel()]


METHOD = Method(
    paper="SeeKRec: toward semantic-empowered knowledge-aware recommendation (its supplement: the prompts, and why the "
    "truncated decomposition is the best)",
    departures=(
        "the main paper is not public: the mixture is our own reading, one softmax gate that sees the embedding, the "
        "distilled profile and the sparsity of each user and item",
        "profiles' vectors lose their mean before they are distilled, so that the energy is that of differences",
        "items of similar profiles are neighbours in the graph (neighbours=0 leaves that out)",
        "one more expert, a ridge regression of choices on profiles, is fitted alone and added to the learned scores "
        "(taste_weight=0 leaves it out)",
        "the loss is a softmax over all items under cosine similarity (loss=bpr is LightGCN's)",
    ),
    config=SeekrecConfig,
    build=Seekrec,
    cautious=("profiles",),
    epochs=60,
    patience=5,
    search=SEARCH
    | {
        "layers": Span(1, 4),
        "learning_rate": Span(0.001, 0.01, log=True),
        "weight_decay": Span(1e-6, 1e-3, log=True),
        "graph": ("cg", "cig", "ckg", "cikg"),
        "rank": Span(16, 128),
        "gate": ("subject", "global", "equal"),
        "neighbours": Span(0, 20),
        "taste_penalty": Span(1.0, 100.0, log=True),
    },
)
