"""CIKGRec: LightGCN over the collaborative-interest knowledge graph, with two auxiliary tasks (Hu et al., AAAI 2025).

    L = λ₁·L_r + λ₂·L_u + λ₃·L_c    (eq. 11)

L_r recommends over the whole graph, L_u reconstructs masked interests, L_c contrasts what the collaborative graph says
of a node with what it says once interests (for users) or facts (for items) are added. TransE steps over the facts
alternate with it where configured (eq. 12).

`fidelity` says whose CIKGRec it is. `paper` is the paper's, but for what `departures` says of it. `reference` is the
published code's, faults included. `improved` has all of `DEPARTURES`, and converges in a tenth of the epochs. The
ablations of the paper are settings: graph=ckg (without interests), reconstruction_weight=0, contrast_weight=0,
mask_growth=fixed or lin; its other graphs are graph=cg and cig.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend.data.views import ContrastViews, SymmetricGraph, TrainingData, View, graph_view
from cikg.recommend.method import Gradient, Method, Span
from cikg.recommend.parts import losses
from cikg.recommend.parts.propagation import drop_edges, memory, propagate
from cikg.recommend.parts.ranking import SEARCH, Batch, Ranking, RankingConfig
from cikg.recommend.parts.translation import Facts, Translation
from cikg.recommend.scorers import DotScorer

WITH_INTERESTS = (View.CIG, View.CIKG)
Fidelity = Literal["improved", "paper", "reference"]

PUBLISHED: dict[str, Any] = {
    "loss": "bpr",
    "learning_rate": 0.0008,
    "batch_size": 1024,
    "mask_epochs": 150,
    "contrast_candidates": "all",
    "self_loops": True,
}
"""What `fidelity=paper` and `fidelity=reference` set, unless it is set by hand: as published for DBbook2014."""


class CikgrecConfig(RankingConfig):
    """Hyperparameters of CIKGRec, by the names of the paper where it has them."""

    fidelity: Fidelity = Field("improved", description="improved; paper: as in the paper; reference: as in its code")
    dimension: int = Field(64, ge=1, description="D, the width of an embedding")
    layers: int = Field(3, ge=1, description="l, the layers of the graph encoder")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    graph: View = Field(View.CIKG, description="The graph that recommends: cg, cig, ckg or cikg")
    self_loops: bool = Field(False, description="Give every node of that graph an edge to itself")
    recommendation_weight: float = Field(1.5, gt=0, description="λ₁, the weight of L_r")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    edge_dropout: float = Field(0.0, ge=0, lt=1, description="Share of edges dropped each step before recommending")
    reconstruction_weight: float = Field(0.03, ge=0, description="λ₂, the weight of L_u; 0 leaves it out")
    mask_start: float = Field(0.05, gt=0, le=1, description="α, the first epoch's mask rate")
    mask_end: float = Field(0.75, gt=0, le=1, description="ω, the highest mask rate")
    mask_epochs: int = Field(30, ge=1, description="Λ, the epochs in which the mask rate grows from α to ω")
    mask_growth: Literal["exp", "lin", "fixed"] = Field("exp", description="δ, how it grows (eq. 3); fixed: always ω")
    replace_rate: float = Field(0.15, ge=0, lt=1, description="Share of masked interests that get another's embedding")
    mask_edge_dropout: float = Field(0.2, ge=0, lt=1, description="Share of edges dropped while reconstructing")
    reconstruction_power: float = Field(2.0, ge=1, description="η of the scaled cosine loss (eq. 7)")
    contrast_weight: float = Field(0.01, ge=0, description="λ₃, the weight of L_c; 0 leaves it out")
    contrast_temperature: float = Field(0.2, gt=0, description="τ of L_c")
    contrast_candidates: Literal["batch", "all"] = Field(
        "batch", description="What an anchor is contrasted with: the other nodes of its batch, or all of its kind"
    )
    noise: float = Field(0.1, ge=0, description="ε, the length of the perturbation of the collaborative view")
    translation: bool = Field(True, description="Alternate with TransE steps over the facts (eq. 12)")
    translation_learning_rate: float = Field(0.002, gt=0, description="Step size of TransE")
    translation_batch_size: int = Field(4096, ge=1, description="Facts per step of TransE")
    translation_decay: float = Field(0.001, ge=0, description="L2 penalty on TransE's embeddings")

    @property
    def masked_loops(self) -> bool:
        """Whether nodes have edges to themselves where interests are masked: the code adds them to what it dropped."""
        return self.fidelity != "reference" or self.mask_edge_dropout > 0

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, given: Any) -> Any:
        faithful = isinstance(given, dict) and given.get("fidelity") in ("paper", "reference")
        return PUBLISHED | given if faithful else given


def mask_rate(epoch: int, config: CikgrecConfig) -> float:
    """The share of interests masked in `epoch`, from 0 (eq. 3)."""
    start, end, progress = config.mask_start, config.mask_end, epoch / config.mask_epochs
    if config.mask_growth == "fixed":
        return end
    rate = start + progress * (end - start) if config.mask_growth == "lin" else start * (end / start) ** progress
    return min(rate, end)


class Cikgrec(Gradient):
    """The module. Rows of `embeddings` are users, items, entities, interests."""

    def __init__(self, data: TrainingData, config: CikgrecConfig, device: torch.device) -> None:
        super().__init__()
        self.config, self.nodes = config, data.nodes
        self.embeddings = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.nodes.total, config.dimension)))
        self.mask_token = nn.Parameter(torch.zeros(config.dimension))
        self.projection = nn.Linear(config.dimension, config.dimension)
        nn.init.xavier_uniform_(self.projection.weight)
        self._ranking = Ranking(data, config, device)
        self._graph = graph_view(data, config.graph, self_loops=config.self_loops).to(device)
        has_interests = len(data.interest_index) > 0 and config.graph in WITH_INTERESTS
        has_facts = len(data.head_index) > 0 and config.graph in (View.CKG, View.CIKG)
        self._as_code = config.fidelity == "reference"
        self._masked_graph: SymmetricGraph | None = None
        if has_interests and config.reconstruction_weight:
            self._masked_graph = graph_view(data, config.graph, self_loops=config.masked_loops).to(device)
        self._views: ContrastViews | None = None
        if (has_interests or has_facts) and config.contrast_weight:
            made = ContrastViews.of_reference(data, config.graph) if self._as_code else ContrastViews.of_paper(data)
            self._views = made.only(interests=has_interests, facts=has_facts).to(device)
        self.translation = _translation(data, config, device) if has_facts and config.translation else None
        self.to(device)

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: CikgrecConfig) -> int:
        views = 4 if config.contrast_weight else 2  # each keeps its result for the gradients, and its own edges
        extra = (views - 1) * (data.nodes.total * config.dimension * 12 + 32 * data.edges)
        return memory(data.nodes.total, data.edges, config.dimension) + extra

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        own = [self.embeddings, self.mask_token, *self.projection.parameters()]
        adam = partial(torch.optim.Adam, fused=True)
        found: dict[str, torch.optim.Optimizer] = {"recommend": adam(own, lr=self.config.learning_rate)}
        if self.translation is not None:
            facts = [self.embeddings, *self.translation.parameters()]
            found["translate"] = adam(facts, lr=self.config.translation_learning_rate)
        return found

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for batch in self._ranking.batches(generator):
            yield "recommend", self._loss(batch, epoch, generator)
        if self.translation is not None:
            for facts in self.translation.batches(generator):
                yield "translate", self.translation(self.embeddings, facts, self.config.translation_decay)

    @override
    def scorer(self) -> DotScorer:
        return self._ranking.scorer(*self._users_and_items(self._encode(self._graph)))

    def _users_and_items(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        first = self.nodes.first_item
        return encoded[:first], encoded[first : first + self.nodes.items]

    def _encode(self, graph: SymmetricGraph) -> Tensor:
        return propagate(graph, self.embeddings[: graph.nodes], self.config.layers)

    def _loss(self, batch: Batch, epoch: int, generator: torch.Generator) -> Tensor:
        loss = self.config.recommendation_weight * self._recommendation_loss(batch, generator)
        loss = loss + self.config.weight_decay * self._decay(batch)
        if self._masked_graph is not None:
            loss = loss + self.config.reconstruction_weight * self._reconstruction_loss(
                self._masked_graph, epoch, generator
            )
        if self._views is not None:
            loss = loss + self.config.contrast_weight * self._contrast_loss(self._views, batch, generator)
        return loss

    def _recommendation_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        dropout = self.config.edge_dropout
        graph = drop_edges(self._graph, dropout, generator) if dropout else self._graph
        return self._ranking.loss(*self._users_and_items(self._encode(graph)), batch)

    def _decay(self, batch: Batch) -> Tensor:
        """Of a batch's own embeddings; one look-up, since each writes a gradient of the whole table."""
        ends = [batch.user, batch.item + self.nodes.first_item]
        if batch.negative is not None and not batch.shared:
            ends.append(batch.negative + self.nodes.first_item)
        return losses.squared_length(*F.embedding(torch.cat(ends), self.embeddings).chunk(len(ends)))

    def _reconstruction_loss(self, whole: SymmetricGraph, epoch: int, generator: torch.Generator) -> Tensor:
        """L_u: hide interests, encode, project, hide them again, decode with one layer, compare (eqs. 5-7)."""
        config, first, device = self.config, self.nodes.first_interest, self.embeddings.device
        others, interests = self.embeddings[:first], self.embeddings[first:]
        shuffled = torch.randperm(len(interests), generator=generator, device=device)
        masked = shuffled[: max(1, int(mask_rate(epoch, config) * len(interests)))]
        swapped = masked[: int(config.replace_rate * len(masked))]
        source = torch.arange(len(interests), device=device)
        source[swapped] = torch.randint(len(interests), swapped.shape, generator=generator, device=device)
        hidden = torch.zeros(len(interests), 1, dtype=torch.bool, device=device)
        hidden[masked] = True
        token = hidden.clone()
        token[swapped] = False
        visible = torch.where(token, self.mask_token, F.embedding(source, interests))
        graph = drop_edges(whole, config.mask_edge_dropout, generator) if config.mask_edge_dropout else whole
        encoded = self.projection(propagate(graph, torch.cat([others, visible]), config.layers - 1))
        decoded = propagate(graph, torch.cat([encoded[:first], encoded[first:].masked_fill(hidden, 0.0)]), 1)
        return losses.scaled_cosine(
            F.embedding(masked, decoded[first:]), F.embedding(masked, interests), config.reconstruction_power
        )

    def _contrast_loss(self, views: ContrastViews, batch: Batch, generator: torch.Generator) -> Tensor:
        """L_c: the perturbed collaborative view against the one with interests, and the one with facts (eqs. 8-9)."""
        config, nodes = self.config, self.nodes
        own = self.embeddings[: views.plain.nodes]
        plain = propagate(views.plain, own, config.layers, noise=config.noise, generator=generator)
        loss = torch.zeros((), device=self.embeddings.device)
        if views.with_interests is not None:
            enriched = self._encode(views.with_interests)
            loss = loss + self._contrast(plain[: nodes.users], enriched[: nodes.users], batch.user)
        if views.with_facts is not None:
            # The code tells an item from entities and interests as well, as many as its view has rows for.
            last = None if self._as_code else nodes.first_item + nodes.items
            enriched = self._encode(views.with_facts)[nodes.first_item : last]
            loss = loss + self._contrast(plain[nodes.first_item : last], enriched, batch.item)
        return loss

    def _contrast(self, plain: Tensor, enriched: Tensor, occurring: Tensor) -> Tensor:
        anchors, temperature = occurring if self._as_code else torch.unique(occurring), self.config.contrast_temperature
        if self.config.contrast_candidates == "all":
            return losses.info_nce(plain, enriched, anchors, temperature)
        own = torch.arange(len(anchors), device=anchors.device)
        return losses.info_nce(F.embedding(anchors, plain), F.embedding(anchors, enriched), own, temperature)


def _translation(data: TrainingData, config: CikgrecConfig, device: torch.device) -> Translation:
    """TransE as the paper has it, each fact once an epoch; or as the code, with all that it samples otherwise."""
    facts = Facts.of(data)
    steps = None
    if config.fidelity == "reference":
        steps = 2 * len(facts) // config.translation_batch_size
        both = facts.both_ways(data.fit.user_index, data.fit.item_index + data.nodes.first_item)
        # Its false tails are numbered from 0, where the table has users, up to the number of items and entities.
        facts = Facts(both.head, both.relation, both.tail, both.relations, 0, data.nodes.things)
    return Translation(facts, config.dimension, config.translation_batch_size, device, steps=steps)


RECONSTRUCTION = (
    "L_u hides masked interests a second time before it decodes them, like the published code",
    "some masked interests get another's embedding instead of the mask token (replace_rate=0 is the paper's)",
    "edges are dropped while interests are reconstructed (mask_edge_dropout=0 is the paper's)",
    "every node of the graph on which they are reconstructed has an edge to itself",
)
"""What L_u does that equations 5 and 6 do not say."""

DEPARTURES = (
    "L_r is a softmax over all items under cosine similarity (loss=bpr is the paper's): worth more than any graph",
    "L_c tells an anchor from the other nodes of its batch (contrast_candidates=all is the paper's)",
    "the mask rate grows over 30 epochs instead of 80 to 320, as the softmax loss converges in about 20",
    "TransE compares squared distances, like the published code: its step size suits no others",
    *RECONSTRUCTION,
)

AS_CODE = (
    "the plain view of L_c is the whole graph, and in its other two views interactions are self-loops",
    "L_c tells an item from entities and interests too, and counts an anchor as often as it occurs in the batch",
    "TransE compares squared distances, takes interactions and inverse facts for facts, as many of each head, and "
    "draws false tails from users, items and most entities",
    "self-loops stay when edges are dropped, where the code drops or doubles them",
)

SELF_LOOPS = (
    "every node of the graph that recommends has an edge to itself, as in the published settings "
    "(self_loops=false is the paper's)"
)


def departures(config: CikgrecConfig) -> tuple[str, ...]:
    """Each point in which a configuration is not what the paper says."""
    masks = config.reconstruction_weight > 0 and config.graph in WITH_INTERESTS
    swaps, drops = config.replace_rate > 0, config.mask_edge_dropout > 0
    masking = [masks and each for each in (True, swaps, drops, config.masked_loops)]
    if config.fidelity == "reference":
        own: tuple[str, ...] = AS_CODE
    else:
        apply = (config.loss != "bpr", config.contrast_candidates != "all", config.mask_epochs < 80, config.translation)
        own = tuple(compress(DEPARTURES, apply))
    return (*own, *compress(RECONSTRUCTION, masking), *([SELF_LOOPS] if config.self_loops else []))


METHOD = Method(
    paper="Z. Hu, Z. Li, Z. Jiao, S. Nakagawa, J. Deng, S. Cai, T. Zhou, F. Ren: Bridging the user-side knowledge gap "
    "in knowledge-aware recommendations with large language models. AAAI 2025",
    departures=DEPARTURES,
    departs=departures,
    config=CikgrecConfig,
    build=Cikgrec,
    epochs=60,
    patience=5,
    search=SEARCH
    | {
        "layers": Span(2, 4),
        "learning_rate": Span(0.001, 0.01, log=True),
        "weight_decay": Span(1e-6, 1e-3, log=True),
        "reconstruction_weight": Span(0.003, 0.3, log=True),
        "contrast_weight": Span(0.001, 0.1, log=True),
        "contrast_temperature": Span(0.1, 0.4, log=True),
        "translation": (True, False),
    },
)
