"""The flagship: experts over one snapshot, and a gate that says for whom each of them counts how much.

=============  ===================================================================================================
`linear`       EASE over interactions, facts and texts, as far as the validation split finds these useful
`spectral`     the low frequencies of the graph of items: GF-CF's ideal filter
`graph`        LightGCN over the collaborative-interest knowledge graph under a softmax loss
`interests`    what holders of the user's interests choose
`popularity`   what everybody chooses
=============  ===================================================================================================

A score is the sum of the experts' shares. What a snapshot lacks drops its expert, and the run's report says so.

**Interests without evidence** may have been inferred from all training data, the validation items included. On the
validation split such an expert looks several times as good as it is. So nothing that is fitted there sees it: the
graph is selected without interests, and the gate is fitted without their expert. The refit gives the graph its
interests, and their expert a small fixed weight. Interests that rest on training items are fitted like everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from typing_extensions import override

from cikg.recommend import linear, mixing
from cikg.recommend.evaluation import judge
from cikg.recommend.method import ClosedForm, Config, Method
from cikg.recommend.methods.ease import Ease, EaseConfig
from cikg.recommend.methods.gf_cf import GfCf, GfCfConfig
from cikg.recommend.methods.interests import Interests, InterestsConfig
from cikg.recommend.methods.lightgcn import Lightgcn, LightgcnConfig
from cikg.recommend.methods.popularity import Popularity, PopularityConfig
from cikg.recommend.scorers import DotScorer, MixtureScorer, Scorer
from cikg.recommend.views import TrainingData, View

SIMILARITY_SHARE = 0.3
"""What facts or texts weigh in the Gram matrix, as a share of the penalty on whose diagonal they stand."""
PENALTIES = (100.0, 300.0, 1000.0, 3000.0)
"""λ of the linear expert, from below: smaller ones can rank better alone, but leave a mixture fewer candidates."""
LOOK, PATIENCE = 2, 2
"""Epochs between two looks at the validation split, and looks without a better one after which the graph is fitted."""


class MixtureConfig(Config):
    """Hyper-parameters of the mixture. Those that are None are found on the validation split."""

    penalty: float | None = Field(None, gt=0, description="λ of the linear expert")
    facts_weight: float | None = Field(None, ge=0, description="Weight of facts in its Gram matrix")
    text_weight: float | None = Field(None, ge=0, description="Weight of profiles or texts in its Gram matrix")
    rank: int = Field(64, ge=1, description="Frequencies that the spectral expert lets pass")
    dimension: int = Field(128, ge=1, description="Width of an embedding of the graph expert")
    layers: int = Field(3, ge=1, description="Its layers")
    temperature: float = Field(0.2, gt=0, description="τ of its softmax loss")
    learning_rate: float = Field(0.005, gt=0, description="Its step size")
    batch_size: int = Field(2048, ge=1, description="Interactions a step")
    members: int = Field(1, ge=1, description="Graph experts that differ by their seed alone and are averaged")
    graph_epochs: int | None = Field(None, ge=1, description="Epochs of the graph expert")
    most_epochs: int = Field(24, ge=1, description="The most that are tried")
    unproven_weight: float = Field(
        0.15, ge=0, description="Weight of interests without evidence, where all other experts together weigh 1"
    )
    gate: mixing.Gate | None = Field(
        None, description="Of each expert: log-weight, and how it grows with the log of a history's length"
    )


class Mixture(ClosedForm):
    """Fits the experts; in a selection also the gate."""

    def __init__(self, data: TrainingData, config: MixtureConfig, device: torch.device) -> None:
        self._data, self._config, self._device = data, config, device
        self._seed = torch.initial_seed() % 2**31

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        """Every expert alone, then all of them mixed: what is best on the validation split is served."""
        config, found = self._config, dict[str, Any]()
        if config.gate is not None:
            yield {}, self._mixed(config.gate, dict(self._experts(config.model_dump(), list(config.gate))))
            return
        experts = {}
        for name, scorer in self._experts(found, None):
            experts[name] = scorer
            yield found | {"gate": {name: (0.0, 0.0)}}, self._mixed({name: (0.0, 0.0)}, {name: scorer})
        gate = mixing.fit_gate(self._data, experts, self._seed)
        yield found | {"gate": gate}, self._mixed(gate, experts)

    def _experts(self, found: dict[str, Any], wanted: list[str] | None) -> Iterator[tuple[str, Scorer]]:
        """Fit the experts that are wanted, or all that the data allow.

        Args:
            found: hyper-parameters that were selected; in a selection, what is found is noted here.
            wanted: their names, or None in a selection.
        """
        data, device = self._data, self._device
        if wanted is None or "popularity" in wanted:
            yield "popularity", _only(Popularity(data, PopularityConfig(), device))
        if wanted is None or "spectral" in wanted:
            yield "spectral", _only(GfCf(data, GfCfConfig(rank=self._config.rank, linear=False), device))
        if linear.fits_in_memory(data.nodes.items) if wanted is None else "linear" in wanted:
            yield "linear", self._linear(found)
        if len(data.interest_index) and data.interests_proven if wanted is None else "interests" in wanted:
            yield "interests", self._interests()
        if wanted is None or "graph" in wanted:
            yield "graph", self._graph(found)

    def _mixed(self, gate: mixing.Gate, experts: dict[str, Scorer]) -> MixtureScorer:
        """The mixture; in a refit with interests that could not be fitted, at their fixed weight."""
        data, experts = self._data, {name: experts[name] for name in gate}
        gates = mixing.weights(gate, mixing.history_lengths(data.fit, data.nodes.users))
        if data.selection is None and not data.interests_proven and self._config.unproven_weight and len(gate) > 1:
            experts["interests"] = self._interests()
            gates = torch.cat([gates, torch.full((len(gates), 1), self._config.unproven_weight)], dim=1)
        return MixtureScorer.of(gates.to(self._device), experts)

    def _interests(self) -> Scorer:
        return _only(Interests(self._data, InterestsConfig(), self._device))

    def _linear(self, found: dict[str, Any]) -> Scorer:
        """EASE; in a selection, first what to add to its Gram matrix, then the penalty, as long as more is better."""
        config, data = self._config, self._data
        if found.get("penalty") is not None:
            return self._ease(found)
        penalties = PENALTIES if config.penalty is None else (config.penalty,)
        facts = (0.0, SIMILARITY_SHARE) if len(data.head_index) else (0.0,)
        texts = (0.0, SIMILARITY_SHARE) if linear.has_text(data) else (0.0,)
        best: tuple[float, dict[str, Any], Scorer] | None = None

        def attempt(penalty: float, fact_share: float, text_share: float) -> bool:
            nonlocal best
            tried = {
                "penalty": penalty,
                "facts_weight": fact_share * penalty if config.facts_weight is None else config.facts_weight,
                "text_weight": text_share * penalty if config.text_weight is None else config.text_weight,
            }
            scorer = self._ease(tried)
            score = self._judge(scorer)
            better = best is None or score > best[0]
            if better:
                best = score, tried, scorer
            return better

        shares = (0.0, 0.0)
        for share in ((fact, text) for fact in facts for text in texts):
            shares = share if attempt(penalties[0], *share) else shares
        for penalty in penalties[1:]:
            if not attempt(penalty, *shares):
                break
        assert best is not None  # noqa: S101
        found |= best[1]
        return best[2]

    def _ease(self, found: dict[str, Any]) -> Scorer:
        chosen = {name: found[name] for name in ("penalty", "facts_weight", "text_weight")}
        return _only(Ease(self._data, EaseConfig(**chosen), self._device))

    def _graph(self, found: dict[str, Any]) -> Scorer:
        """LightGCN, one or several that differ by their seed, side by side: cosines add up to their mean."""
        config, data = self._config, self._data
        blind = data.selection is not None and not data.interests_proven
        settings = LightgcnConfig(
            graph=View.CKG if blind else View.CIKG,
            dimension=config.dimension,
            layers=config.layers,
            temperature=config.temperature,
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
        )
        scorers = []
        for member in range(config.members):
            with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
                torch.manual_seed(self._seed + 7919 * member)
                model = Lightgcn(data, settings, self._device)
            epochs = found.get("graph_epochs") or config.graph_epochs
            scorers.append(self._train(model, epochs, self._seed + member, found))
        return _side_by_side(scorers)

    def _train(self, model: Lightgcn, epochs: int | None, seed: int, found: dict[str, Any]) -> DotScorer:
        """Train for some epochs, or until the validation split shows no gain; notes how long."""
        generator = torch.Generator(self._device).manual_seed(seed)
        (optimiser,) = model.optimisers().values()
        best: tuple[float, int, DotScorer] | None = None
        for epoch in range(epochs or self._config.most_epochs):
            for _, loss in model.steps(epoch, generator):
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            if epochs is None and (epoch + 1) % LOOK == 0:
                scorer = _scorer(model)
                score = self._judge(scorer)
                if best is None or score > best[0]:
                    best = score, epoch + 1, scorer
                elif epoch + 1 - best[1] >= PATIENCE * LOOK:
                    break
        if best is None:
            found["graph_epochs"] = epochs or self._config.most_epochs
            return _scorer(model)
        found["graph_epochs"] = best[1]
        return best[2]

    def _judge(self, scorer: Scorer) -> float:
        data = self._data
        assert data.selection is not None  # noqa: S101
        return mixing.quality(judge(scorer, data.nodes, data.fit, data.selection))


def _scorer(model: Lightgcn) -> DotScorer:
    with torch.no_grad():
        return model.scorer()


def _side_by_side(scorers: list[DotScorer]) -> DotScorer:
    """One scorer whose scores are the sums of the others' cosines."""
    if len(scorers) == 1:
        return scorers[0]
    users = torch.cat([torch.nn.functional.normalize(each.user_vectors, dim=1) for each in scorers], dim=1)
    return DotScorer(users, torch.cat([each.item_vectors for each in scorers], dim=1))


def _only(fitted: ClosedForm) -> Scorer:
    """The scorer of a method that is told all its settings."""
    ((_, scorer),) = fitted.candidates()
    return scorer


METHOD = Method(
    paper="R. A. Jacobs, M. I. Jordan, S. J. Nowlan, G. E. Hinton: Adaptive mixtures of local experts. "
    "Neural Computation 3, 1991",
    departures=(
        "experts are fitted alone, and the gate afterwards on the validation split",
        "interests without evidence are kept from all that the validation split decides; the refit gives them to the "
        "graph, and to an expert of small fixed weight",
    ),
    config=MixtureConfig,
    build=Mixture,
)
