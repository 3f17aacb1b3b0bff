"""IKGR: intents found by an LLM, in a knowledge graph of users, items and intents.

One layer of knowledge graph convolution over text features, then TransH over three relations: a user *possesses* an
intent, an item *satisfies* one, a user *consumes* an item. The translation of *consumes* is made of both their intents:
the more alike they are, the nearer the user is to the item. Beside all this stands how likely a user is to choose an
item for the sake of an intent: `choices`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from scipy import sparse
from torch import Tensor, nn
from typing_extensions import override

from cikg.recommend.data.intents import Links, translation
from cikg.recommend.data.views import Array, SymmetricGraph, TrainingData
from cikg.recommend.method import Config, Gradient, Method, Span
from cikg.recommend.parts import losses
from cikg.recommend.parts.choices import ChoiceModel
from cikg.recommend.parts.intent_scoring import IntentScorer, prefixed
from cikg.recommend.parts.propagation import drop_edges, memory, propagate
from cikg.recommend.parts.sampling import NegativeSampler

POSSESSES, SATISFIES, CONSUMES = 0, 1, 2
CHOICE_WEIGHTS = (2.0, 1.0, 0.5, 0.0)
"""Weights of ln P(i | u) that a selection tries; the first stands where nothing selects."""


class IkgrConfig(Config):
    """Hyperparameters of IKGR."""

    dimension: int = Field(64, ge=1, description="Width of an embedding")
    learning_rate: float = Field(0.005, gt=0, description="Adam's step size")
    batch_size: int = Field(2048, ge=1, description="Interactions per step")
    knowledge: Literal["intents", "exact", "interactions", "none"] = Field(
        "intents",
        description="intents: those of both rounds; exact: only those of the first; interactions: the items that share "
        "the most intents with a user count as consumed, and intents are not nodes; none: no intents",
    )
    item_texts: bool = Field(True, description="Give items the vectors of their own texts, beside their intents")
    added_interactions: int = Field(10, ge=1, description="Items added to each user where knowledge=interactions")
    intent_translation: bool = Field(True, description="Make the translation of consumes from intents (eq. 8)")
    intent_scoring: bool = Field(True, description="Add the similarity of the intents to the score (eqs. 10-11)")
    mixer: float = Field(0.1, ge=0, description="Weight of the intents in the score (eq. 11)")
    choice_weight: float | None = Field(
        None,
        ge=0,
        description="Weight of ln P(item | user) by intents, in units of the temperature; 0 leaves it out; by default "
        "found on valid",
    )
    choice_learning_rate: float = Field(0.01, gt=0, description="Adam's step size for that probability")
    support_power: float = Field(
        2.0,
        ge=0,
        description="A user's intent counts by (1 + items consumed that satisfy it) to this power; 0 as in the paper",
    )
    item_bias: bool = Field(True, description="Learn each item's popularity, beside the cosine")
    margin: float = Field(0.5, gt=0, description="Margin of TransH's loss (eq. 7)")
    negatives: int = Field(1, ge=1, description="Items drawn against each interaction in TransH's loss")
    knowledge_weight: float = Field(0.5, ge=0, description="Weight of possesses and satisfies in TransH's loss")
    translation_weight: float = Field(1.0, ge=0, description="Weight of TransH's loss on consumes")
    ranking_weight: float = Field(1.0, ge=0, description="Weight of a softmax over all items under the score itself")
    temperature: float = Field(0.2, gt=0, description="τ of that softmax")
    constraint_weight: float = Field(0.1, ge=0, description="Weight of the constraints: lengths ≤ 1, d on its plane")
    weight_decay: float = Field(1e-5, ge=0, description="L2 penalty on a batch's own embeddings")
    edge_dropout: float = Field(0.2, ge=0, lt=1, description="Share of edges dropped each step")
    most_intents: int = Field(20, ge=1, description="Intents of a user or item that eqs. 8 and 10 compare, exact first")


class Ikgr(Gradient):
    """The module. Rows of `embeddings` are items, then intents; those of what is encoded are users, items, intents."""

    def __init__(self, data: TrainingData, config: IkgrConfig, device: torch.device) -> None:
        super().__init__()
        self.config, self.nodes = config, data.nodes
        users, items = data.nodes.users, data.nodes.items
        possessed, satisfied, self._intents = _known(data, config)
        self._first_intent, width = users + items, config.dimension
        self.embeddings = nn.Parameter(nn.init.xavier_uniform_(torch.empty(items + self._intents, width)))
        self.bias = nn.Parameter(torch.zeros(items))
        self.relations = nn.Parameter(torch.zeros(6, width))  # both directions, as the convolution adds them
        self.moves = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3, width)))  # d of TransH
        self.normals = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3, width)))  # w of TransH
        self.layer = nn.Linear(width, width)
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        known = data.intents
        of_items = known.item_vectors if config.item_texts else np.zeros_like(known.item_vectors)
        texts = np.concatenate([data.trusted_user_vectors, of_items, known.vectors[: self._intents]])
        self._has_text = texts.shape[1] > 0
        if self._has_text:
            self.projection = nn.Linear(texts.shape[1], width, bias=False)
            nn.init.orthogonal_(self.projection.weight)
        self._texts = torch.from_numpy(np.nan_to_num(texts)).to(device)
        self.choices: ChoiceModel | None = None
        if config.choice_weight != 0 and self._intents and len(exact := satisfied.exact()):
            self.choices = ChoiceModel(data.fit, possessed, exact, (users, items, self._intents), device)
        self.to(device)
        tensor = partial(torch.as_tensor, device=device)
        self._user, self._item = tensor(data.fit.user_index), tensor(data.fit.item_index)
        self._negatives = NegativeSampler(self._user, self._item, 0, items)
        graph, entry = _graph(data, config, possessed, satisfied, self._intents)
        self._graph, self._entry = graph.to(device), entry.to(device)
        most, support = config.most_intents, possessed.support(satisfied, data.fit.user_index, data.fit.item_index)
        shares = possessed.padded(users, most, ((1 + support) ** config.support_power).astype(np.float32))
        self._user_shares = F.normalize(tensor(shares), p=1.0, dim=1)
        self._user_intents, self._item_intents = (
            tensor(links.padded(count, most)) for links, count in ((possessed, users), (satisfied, items))
        )
        self._head = tensor(np.concatenate([possessed.owner_index, satisfied.owner_index + users]))
        self._tail = tensor(np.concatenate([possessed.intent_index, satisfied.intent_index]))
        self._relation = tensor(np.repeat([POSSESSES, SATISFIES], [len(possessed), len(satisfied)]))

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: IkgrConfig) -> int:
        nodes, known = data.nodes.users + data.nodes.items + data.intents.count, data.intents
        edges = len(data.fit) + len(known.possessed) + len(known.satisfied)
        texts: int = 2 * 4 * nodes * known.vectors.shape[1]
        # The softmax: scores and their logarithms, each interaction's own row of these, and gradients of both.
        scores = 5 * 4 * min(config.batch_size, len(data.fit)) * data.nodes.items if config.ranking_weight else 0
        return memory(nodes, edges, config.dimension) + texts + scores

    @override
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        of_choices = list(self.choices.parameters()) if self.choices else []
        known = {id(each) for each in of_choices}
        groups: list[dict[str, Any]] = [{"params": [each for each in self.parameters() if id(each) not in known]}]
        if of_choices:
            groups.append({"params": of_choices, "lr": self.config.choice_learning_rate})
        return {"recommend": torch.optim.Adam(groups, lr=self.config.learning_rate, fused=True)}

    @override
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        # A user's interactions stay together, so that the softmax's partition sum is shared.
        order = torch.randperm(self.nodes.users, generator=generator, device=self._user.device)[self._user].argsort()
        for batch in torch.split(order, self.config.batch_size):
            yield "recommend", self._loss(self._user[batch], self._item[batch], generator)

    @override
    def scorer(self) -> IntentScorer:
        return next(self.candidates())[1]

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], IntentScorer]]:
        config, scorer = self.config, self._scorer()
        if self.choices is None:
            yield {}, scorer
            return
        known = scorer.tensors() | prefixed(self.choices.choices())
        for weight in CHOICE_WEIGHTS if config.choice_weight is None else (config.choice_weight,):
            known["choice_weight"] = torch.full_like(scorer.mixer, weight * config.temperature)
            yield {"choice_weight": weight}, IntentScorer(**known)

    def _scorer(self) -> IntentScorer:
        """The scores without the probability of choosing by intents."""
        config, users = self.config, self.nodes.users
        inputs = self._inputs()
        encoded = F.normalize(self._encode(self._graph, inputs), dim=1)
        intents = encoded[self._first_intent :]
        present = self._item_intents >= 0
        # What an intent tells its owner, but for the owner's own share of the normalisation.
        degree = self._graph.offsets.diff()[self._first_intent :].clamp_min(1).to(inputs.dtype)
        to_users, to_items = (
            (inputs[self._first_intent :] + self.relations[code]) / degree.sqrt()[:, None] / 2 for code in (2, 4)
        )
        mixer = config.mixer if config.intent_scoring and self._intents else 0.0
        return IntentScorer(
            user_vectors=encoded[:users].clone(),
            item_vectors=encoded[users : self._first_intent].clone(),
            intent_vectors=F.normalize(self._texts[self._first_intent :]) if self._has_text else intents.clone(),
            item_bias=self._bias().clone(),
            user_intents=self._user_intents,
            user_shares=self._user_shares,
            item_offsets=F.pad(present.sum(1).cumsum(0), (1, 0)),
            item_intents=self._item_intents[present],
            messages=to_users,
            item_messages=to_items,
            weight=self.layer.weight.clone(),
            bias=self.layer.bias.clone(),
            mixer=torch.full((users,), mixer, device=encoded.device),
            choice_weight=torch.zeros(users, device=encoded.device),
        )

    def _bias(self) -> Tensor:
        return self.bias if self.config.item_bias else torch.zeros_like(self.bias)

    def _inputs(self) -> Tensor:
        """Layer 0: what the text says, and what is learnt of each node besides; shape (nodes, d)."""
        own = F.pad(self.embeddings, (0, 0, self.nodes.users, 0))
        return own + self.projection(self._texts) if self._has_text else own

    def _encode(self, graph: SymmetricGraph, inputs: Tensor) -> Tensor:
        """Encode all nodes: σ(W·(e + Σ (r + e_t)) + b) over neighbours t by relations r (eq. 3); shape (nodes, d)."""
        shares = torch.zeros(graph.nodes * 6, device=inputs.device).index_add_(0, self._entry, graph.weights)
        told = propagate(graph, inputs, 1) + shares.view(-1, 6) @ self.relations / 2
        return F.leaky_relu(self.layer(told))

    def _loss(self, user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
        config, users = self.config, self.nodes.users
        graph = drop_edges(self._graph, config.edge_dropout, generator) if config.edge_dropout else self._graph
        inputs = self._inputs()
        encoded = self._encode(graph, inputs)
        readers, row = torch.unique(user, return_inverse=True)
        loss = torch.zeros((), device=encoded.device)
        if config.ranking_weight:
            items = F.normalize(encoded[users : self._first_intent], dim=1)
            scores = F.normalize(F.embedding(readers, encoded), dim=1) @ items.T + self._bias()
            chosen = F.embedding(row, F.log_softmax(scores / config.temperature, dim=1)).gather(1, item[:, None])
            loss = loss - config.ranking_weight * chosen.mean()
        if config.translation_weight:
            loss = loss + config.translation_weight * self._consumes_loss(encoded, user, item, generator)
        if config.knowledge_weight and len(self._head):
            loss = loss + config.knowledge_weight * self._knowledge_loss(encoded, len(user), generator)
        if self.choices is not None:
            loss = loss + self.choices.loss(readers, generator)
        own = torch.split(F.embedding(torch.cat([user, item + users]), inputs), len(user))
        return loss + config.weight_decay * losses.squared_length(*own) + self._constraints(encoded)

    def _consumes_loss(self, encoded: Tensor, user: Tensor, item: Tensor, generator: torch.Generator) -> Tensor:
        """TransH's margin loss on interactions (eqs. 4-8)."""
        count = self.config.negatives
        users, pairs = user.repeat(count + 1), [item]
        pairs += [self._negatives.draw(user, generator) for _ in range(count)]
        items = torch.cat(pairs)
        if self.config.intent_translation and self._intents:
            vectors = encoded[self._first_intent :]
            move = translation(vectors, self._user_intents[users], self._item_intents[items])
        else:
            move = self.moves[CONSUMES]
        rows = torch.cat([users, items + self.nodes.users])
        heads, tails = torch.split(F.embedding(rows, encoded), len(users))
        energy = self._energy(heads, tails, move, torch.full_like(users, CONSUMES)).view(count + 1, -1)
        return F.relu(self.config.margin + energy[:1] - energy[1:]).mean()

    def _knowledge_loss(self, encoded: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """TransH's margin loss on intents: the tail is corrupted, and the relation in half of the cases (eq. 7)."""
        chosen = torch.randint(len(self._head), (count,), generator=generator, device=encoded.device)
        head, relation, tail = self._head[chosen], self._relation[chosen], self._tail[chosen]
        false = torch.randint(self._intents, tail.shape, generator=generator, device=encoded.device)
        swapped = torch.rand(tail.shape, generator=generator, device=encoded.device) < 0.5
        other = torch.where(swapped, SATISFIES - relation, relation)
        rows = torch.cat([head, tail + self._first_intent, false + self._first_intent])
        heads, tails, falses = torch.split(F.embedding(rows, encoded), count)
        near = self._energy(heads, tails, F.embedding(relation, self.moves), relation)
        far = self._energy(heads, falses, F.embedding(other, self.moves), other)
        return F.relu(self.config.margin + near - far).mean()

    def _energy(self, head: Tensor, tail: Tensor, move: Tensor, relation: Tensor) -> Tensor:
        """‖h⊥ + d - t⊥‖², where x⊥ = x - (wᵀx)·w on the plane of the relation, ‖w‖ = 1 (eqs. 4-6)."""
        normal = F.embedding(relation, F.normalize(self.normals, dim=1))
        apart = head - tail
        apart = apart - (apart * normal).sum(1, keepdim=True) * normal
        return (apart + move).square().sum(1)

    def _constraints(self, encoded: Tensor) -> Tensor:
        """TransH's soft constraints: no embedding is longer than 1, and each d lies in its plane."""
        long = F.relu(encoded.square().sum(1) - 1).mean()
        normals = F.normalize(self.normals, dim=1)
        off = ((normals * self.moves).sum(1).square() / self.moves.square().sum(1).clamp_min(1e-8)).mean()
        return self.config.constraint_weight * (long + off)


def _known(data: TrainingData, config: IkgrConfig) -> tuple[Links, Links, int]:
    """The intents that are nodes: the users', the items', and how many there are."""
    known = data.intents
    if config.knowledge == "exact":
        return known.possessed.exact(), known.satisfied.exact(), known.count
    if config.knowledge == "intents":
        return known.possessed, known.satisfied, known.count
    return Links.none(), Links.none(), 0


def _graph(
    data: TrainingData, config: IkgrConfig, possessed: Links, satisfied: Links, intents: int
) -> tuple[SymmetricGraph, Tensor]:
    """The graph over users, items and intents, and for each entry where its relation's share is added up.

    That is six times the row plus a number for the ordered pair of kinds: 0 user-item, 1 item-user, 2 user-intent,
    3 intent-user, 4 item-intent, 5 intent-item.
    """
    users, items = data.nodes.users, data.nodes.items
    added_user, added_item = np.empty((2, 0), dtype=np.int64)
    if config.knowledge == "interactions":
        added_user, added_item = _alike(data, config.added_interactions)
    sources = data.fit.user_index, added_user, possessed.owner_index, satisfied.owner_index + users
    first = users + items
    targets = (
        data.fit.item_index + users,
        added_item + users,
        possessed.intent_index + first,
        satisfied.intent_index + first,
    )
    graph = SymmetricGraph.of(first + intents, np.concatenate(sources), np.concatenate(targets))
    kind = torch.from_numpy(np.repeat([0, 1, 2], [users, items, intents]))
    code = torch.tensor([[-1, 0, 2], [1, -1, 4], [3, 5, -1]])
    rows, neighbours = graph.rows.long(), graph.neighbours.long()
    return graph, rows * 6 + code[kind[rows], kind[neighbours]]


def _alike(data: TrainingData, count: int) -> tuple[Array, Array]:
    """The `count` items that share the most intents with each user and were not consumed: user and item of each."""
    known, shape = data.intents, (data.nodes.users, data.nodes.items)
    has, serves = (
        sparse.csr_array((np.ones(len(links)), (links.owner_index, links.intent_index)), shape=(rows, known.count))
        for links, rows in zip((known.possessed, known.satisfied), shape, strict=True)
    )
    shared = (has @ serves.T).toarray()
    shared[data.fit.user_index, data.fit.item_index] = 0
    best = np.argsort(-shared, axis=1, kind="stable")[:, :count]
    row, column = np.nonzero(np.take_along_axis(shared, best, 1))
    return row, best[row, column]


METHOD = Method(
    paper="Explain what you mean: intent augmented knowledge graph recommender built with LLM (IKGR). arXiv, 2025",
    departures=(
        "the published text lacks its formulas: eqs. 3-11 are reconstructed from its words, KGCN, TransH and KTUP",
        "items and intents have embeddings of their own beside their texts, and sums over neighbours are normalised",
        "a softmax over all items, each with a bias, stands beside the margin loss (ranking_weight=0 is the paper's)",
        "a user's intents count by how many consumed items satisfy them (support_power=0 is the paper's mean)",
        "the score compares intents by their texts where they have vectors; users without a profile have no text",
        "the score adds how likely a user is to choose an item because of an intent (choice_weight=0 leaves it out)",
        "knowledge=interactions adds the items that share the most intents with a user, where the paper asks the LLM",
    ),
    config=IkgrConfig,
    build=Ikgr,
    cautious=("profiles",),
    epochs=60,
    patience=5,
    search={
        "mixer": (0.0, 0.05, 0.1, 0.2, 0.5),
        "learning_rate": Span(0.001, 0.02, log=True),
        "edge_dropout": (0.0, 0.2, 0.5),
        "temperature": (0.1, 0.2, 0.3),
    },
)
