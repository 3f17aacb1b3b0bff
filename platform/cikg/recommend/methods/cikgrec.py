"""CIKGRec: LightGCN over the collaborative-interest knowledge graph, with two auxiliary tasks (Hu et al., AAAI 2025).

    L = λ₁·L_r + λ₂·L_u + λ₃·L_c    (eq. 11)

L_r recommends over the whole graph, L_u reconstructs masked interests, L_c contrasts what the collaborative graph says
of a node with what it says once interests (for users) or facts (for items) are added. TransE steps over the facts
alternate with it where configured (eq. 12).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend import losses
from cikg.recommend.method import Config, Gradient, Method
from cikg.recommend.propagation import drop_edges, propagate
from cikg.recommend.sampling import NegativeSampler
from cikg.recommend.scorers import DotScorer
from cikg.recommend.views import SymmetricGraph, TrainingData, View, graph_view


class CikgrecConfig(Config):
    """Hyper-parameters of CIKGRec, by the names of the paper where it has them."""

    dimension: int = Field(64, ge=1, description="D, the width of an embedding")
    layers: int = Field(3, ge=1, description="l, the layers of the graph encoder")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    batch_size: int = Field(2048, ge=1, description="Interactions a step")
    graph: View = Field(View.CIKG, description="The graph that recommends: cg, cig, ckg or cikg")
    self_loops: bool = Field(False, description="Give every node of that graph an edge to itself")
    loss: Literal["softmax", "bpr"] = Field("softmax", description="L_r: softmax over all items, or the paper's BPR")
    temperature: float = Field(0.2, gt=0, description="τ of the softmax loss")
    recommendation_weight: float = Field(1.5, gt=0, description="λ₁, the weight of L_r")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    edge_dropout: float = Field(0.0, ge=0, lt=1, description="Share of edges dropped each step before recommending")
    reconstruction_weight: float = Field(0.03, ge=0, description="λ₂, the weight of L_u; 0 leaves it out")
    mask_start: float = Field(0.05, gt=0, le=1, description="α, the first epoch's mask rate")
    mask_end: float = Field(0.75, gt=0, le=1, description="ω, the highest mask rate")
    mask_epochs: int = Field(30, ge=1, description="Λ, the epochs in which the mask rate grows from α to ω")
    mask_growth: Literal["exp", "lin"] = Field("exp", description="δ, how it grows (eq. 3)")
    replace_rate: float = Field(0.15, ge=0, lt=1, description="Share of masked interests that get another's embedding")
    mask_edge_dropout: float = Field(0.2, ge=0, lt=1, description="Share of edges dropped while reconstructing")
    reconstruction_power: float = Field(2.0, ge=1, description="η of the scaled cosine loss (eq. 7)")
    contrast_weight: float = Field(0.01, ge=0, description="λ₃, the weight of L_c; 0 leaves it out")
    contrast_temperature: float = Field(0.2, gt=0, description="τ of L_c (eq. 9)")
    contrast_candidates: Literal["batch", "all"] = Field(
        "batch", description="Nodes that L_c tells an anchor from: those of the batch, or all of its kind"
    )
    noise: float = Field(0.1, ge=0, description="γ, the length of the collaborative view's perturbation")
    translation: bool = Field(True, description="Alternate with TransE steps over the facts (eq. 12)")
    translation_learning_rate: float = Field(0.002, gt=0, description="Their step size")
    translation_batch_size: int = Field(4096, ge=1, description="Facts a step")
    translation_decay: float = Field(0.001, ge=0, description="L2 penalty of their embeddings")


def mask_rate(epoch: int, config: CikgrecConfig) -> float:
    """The share of interests masked in `epoch`, from 0 (eq. 3)."""
    start, end, progress = config.mask_start, config.mask_end, epoch / config.mask_epochs
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
        self.translations = nn.Parameter(nn.init.xavier_uniform_(torch.empty(max(data.relations, 1), config.dimension)))
        self.to(device)
        self._graph = graph_view(data, config.graph, self_loops=config.self_loops).to(device)
        self._user = torch.from_numpy(data.fit.user_index).to(device)
        self._item = torch.from_numpy(data.fit.item_index).to(device)
        self._negatives = NegativeSampler(self._user, self._item, 0, data.nodes.items)
        has_interests = data.nodes.interests > 0 and config.graph in (View.CIG, View.CIKG)
        has_facts = len(data.head_index) > 0 and config.graph in (View.CKG, View.CIKG)
        self._reconstructs = has_interests and config.reconstruction_weight > 0
        self._contrasts = (has_interests or has_facts) and config.contrast_weight > 0
        self._translates = has_facts and config.translation
        if self._reconstructs:
            self._masked_graph = graph_view(data, config.graph, self_loops=True).to(device)
        if self._contrasts:
            self._plain = graph_view(data, View.CG).to(device)
            self._with_interests = graph_view(data, View.CIG).to(device) if has_interests else None
            self._with_facts = graph_view(data, View.CKG).to(device) if has_facts else None
        if self._translates:
            self._head, self._relation, self._tail = (
                torch.from_numpy(each).to(device) for each in (data.head_index, data.relation_index, data.tail_index)
            )
            known = self._head * data.relations + self._relation
            self._false_tails = NegativeSampler(known, self._tail, 0, data.nodes.things)
            self._relations = data.relations

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        own = [self.embeddings, self.mask_token, *self.projection.parameters()]
        adam = partial(torch.optim.Adam, fused=True)
        found: dict[str, torch.optim.Optimizer] = {"recommend": adam(own, lr=self.config.learning_rate)}
        if self._translates:
            facts = [self.embeddings, self.translations]
            found["translate"] = adam(facts, lr=self.config.translation_learning_rate)
        return found

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        for batch in torch.split(self._order(generator), self.config.batch_size):
            yield "recommend", self._loss(self._user[batch], self._item[batch], epoch, generator)
        if self._translates:
            order = torch.randperm(len(self._head), generator=generator, device=generator.device)
            for batch in torch.split(order, self.config.translation_batch_size):
                yield "translate", self._translation_loss(batch, generator)

    @override
    def scorer(self) -> DotScorer:
        users, items = self._users_and_items(self._encode(self._graph))
        return DotScorer(users.clone(), F.normalize(items, dim=1) if self.config.loss == "softmax" else items.clone())

    def _order(self, generator: torch.Generator) -> Tensor:
        """Interactions in random order; for the softmax a user's stay together, so that its partition sum is shared."""
        if self.config.loss == "bpr":
            return torch.randperm(len(self._user), generator=generator, device=generator.device)
        return torch.randperm(self.nodes.users, generator=generator, device=generator.device)[self._user].argsort()

    def _users_and_items(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        first = self.nodes.first_item
        return encoded[:first], encoded[first : first + self.nodes.items]

    def _encode(self, graph: SymmetricGraph) -> Tensor:
        return propagate(graph, self.embeddings[: graph.nodes], self.config.layers)

    def _look_up(self, *rows: Tensor) -> tuple[Tensor, ...]:
        """Embeddings of several index tensors; one look-up, since each would write a gradient of the whole table."""
        return torch.split(F.embedding(torch.cat(rows), self.embeddings), [len(each) for each in rows])

    def _loss(self, user: Tensor, item: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        loss = self.config.recommendation_weight * self._recommendation_loss(user, item, generator)
        if self._reconstructs:
            loss = loss + self.config.reconstruction_weight * self._reconstruction_loss(epoch, generator)
        if self._contrasts:
            loss = loss + self.config.contrast_weight * self._contrast_loss(user, item, generator)
        return loss

    def _recommendation_loss(self, user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
        config = self.config
        graph = drop_edges(self._graph, config.edge_dropout, generator) if config.edge_dropout else self._graph
        users, items = self._users_and_items(self._encode(graph))
        own = [user, item + self.nodes.first_item]
        if config.loss == "softmax":
            readers, row = torch.unique(user, return_inverse=True)
            loss = losses.softmax(F.embedding(readers, users), items, row, item, config.temperature)
        else:
            other = self._negatives.draw(user, generator)
            own.append(other + self.nodes.first_item)
            chosen, positive, negative = F.embedding(user, users), F.embedding(item, items), F.embedding(other, items)
            loss = losses.bpr((chosen * positive).sum(1), (chosen * negative).sum(1))
        decay = losses.squared_length(*self._look_up(*own))
        return loss + config.weight_decay / config.recommendation_weight * decay

    def _reconstruction_loss(self, epoch: int, generator: torch.Generator) -> Tensor:
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
        graph = drop_edges(self._masked_graph, config.mask_edge_dropout, generator)
        encoded = self.projection(propagate(graph, torch.cat([others, visible]), config.layers - 1))
        decoded = propagate(graph, torch.cat([encoded[:first], encoded[first:].masked_fill(hidden, 0.0)]), 1)
        return losses.scaled_cosine(
            F.embedding(masked, decoded[first:]), F.embedding(masked, interests), config.reconstruction_power
        )

    def _contrast_loss(self, user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
        """L_c: the perturbed collaborative view against the one with interests, and the one with facts (eqs. 8-9)."""
        config = self.config
        own = self.embeddings[: self._plain.nodes]
        plain = propagate(self._plain, own, config.layers, noise=config.noise, generator=generator)
        plain_users, plain_items = self._users_and_items(plain)
        loss = torch.zeros((), device=self.embeddings.device)
        if self._with_interests is not None:
            users, _ = self._users_and_items(self._encode(self._with_interests))
            loss = loss + self._contrast(plain_users, users, torch.unique(user))
        if self._with_facts is not None:
            _, items = self._users_and_items(self._encode(self._with_facts))
            loss = loss + self._contrast(plain_items, items, torch.unique(item))
        return loss

    def _contrast(self, plain: Tensor, enriched: Tensor, anchors: Tensor) -> Tensor:
        queries, temperature = F.embedding(anchors, plain), self.config.contrast_temperature
        own = torch.arange(len(anchors), device=anchors.device)
        if self.config.contrast_candidates == "all":
            return losses.softmax(queries, enriched, own, anchors, temperature)
        return losses.softmax(queries, F.embedding(anchors, enriched), own, own, temperature)

    def _translation_loss(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """L_t: a fact's tail lies nearer to head + relation than a false one (eq. 12, squared distances)."""
        head, relation, tail = self._head[batch], self._relation[batch], self._tail[batch]
        false = self._false_tails.draw(head * self._relations + relation, generator)
        first = self.nodes.first_item
        heads, tails, others = self._look_up(head + first, tail + first, false + first)
        moves = F.embedding(relation, self.translations)
        near, far = ((heads + moves - each).square().sum(1) for each in (tails, others))
        decay = self.config.translation_decay * losses.squared_length(heads, moves, tails, others)
        return losses.bpr(-near, -far) + decay


METHOD = Method(
    paper="Z. Hu, Z. Li, Z. Jiao, S. Nakagawa, J. Deng, S. Cai, T. Zhou, F. Ren: Bridging the user-side knowledge gap "
    "in knowledge-aware recommendations with large language models. AAAI 2025",
    departures=(
        "L_r is a softmax over all items under cosine similarity (loss=bpr is the paper's): worth more than any graph",
        "L_c tells an anchor from the other nodes of its batch (contrast_candidates=all is the paper's)",
        "the mask rate grows over 30 epochs instead of 80 to 320, as the softmax loss converges in about 20",
        "TransE compares squared distances, like the published code",
    ),
    config=CikgrecConfig,
    build=Cikgrec,
    epochs=60,
    patience=5,
)
