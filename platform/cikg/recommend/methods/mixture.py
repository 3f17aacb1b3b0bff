"""The flagship: several experts on one snapshot, and a gate that weights them for each user.

=============  ===================================================================================================
`linear`       EASE over interactions, facts and texts, as far as the validation split finds these useful
`spectral`     the low frequencies of the graph of items: GF-CF's ideal filter
`graph`        LightGCN over the collaborative-interest knowledge graph under a softmax loss
`factors`      iALS over interactions and interests, the mean of several: vectors of users, items and interests
`texts`        what is described like the items that the user chose
`interests`    what holders of the user's interests choose
`popularity`   what everybody chooses
=============  ===================================================================================================

A score is the sum of the experts' shares. What a snapshot lacks drops its expert, and the run's report says so.

**Interests without evidence** may have been inferred from all training data, the validation items included. On the
validation split such an expert looks several times as good as it is. So nothing that is fitted there sees it: the
graph is selected and the factors are fitted without interests, and the gate without their expert. The refit gives
interests to graph and factors, and to their expert a small fixed weight. Interests that rest on training items are
fitted like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from pydantic import Field, field_validator
from typing_extensions import override

from cikg.errors import InputError
from cikg.recommend.data.views import TrainingData, View
from cikg.recommend.fitting import GradientFit
from cikg.recommend.method import ClosedForm, Config, Method
from cikg.recommend.methods.ease import Ease, EaseConfig
from cikg.recommend.methods.gf_cf import GfCf, GfCfConfig
from cikg.recommend.methods.ials import Ials, IalsConfig
from cikg.recommend.methods.interests import Interests, InterestsConfig
from cikg.recommend.methods.lightgcn import Lightgcn, LightgcnConfig
from cikg.recommend.methods.popularity import Popularity, PopularityConfig
from cikg.recommend.methods.texts import Texts, TextsConfig
from cikg.recommend.parts import linear, matching, mixing
from cikg.recommend.scorers import MixtureScorer, Scorer
from cikg.recommend.workshop import Part, Workshop, seeded

SHARES = (0.3, 0.6, 1.2)
"""What facts or texts may weigh in the Gram matrix, as a share of the penalty on whose diagonal they stand."""
PENALTIES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""λ of the linear expert; the search begins at the third, and goes on as long as the next is better."""
FIRST = 2
DROPOUTS = (0.5, 0.0)
"""Its dropouts: the first, and what is tried last."""
CLEARLY = 1.005
"""How many times as good a setting of the linear expert or the factors has to be as the one before: less is noise."""
LINEAR = ("penalty", "facts_weight", "text_weight", "dropout")
"""What is found for the linear expert."""
DENSITIES = ((0.006, 0.05), (0.02, 0.02), (0.06, 0.01), (0.2, 0.01), (0.6, 0.005))
"""α₀ and λ of the factors, from what suits sparse data to what suits dense: tried as long as the next is better."""
FACTORS = ("unobserved_weight", "factors_penalty")
"""What is found for the factors."""
ROUNDS = 8
"""Rounds in which they are fitted: more change no ranking."""
LOOK, PATIENCE = 2, 8
"""Epochs between two looks at the validation split, and epochs without a better one after which the graph is fitted."""
GRAPH_METRIC = "ndcg@100"
"""What the graph's epochs are chosen by: it looks at all places that the gate looks at."""
EXPERTS = ("popularity", "spectral", "texts", "interests", "graph", "factors", "linear")
"""In the order in which they are fitted: the linear one is judged beside the graph."""
EVEN = 0.0, 0.0
"""The gate of an expert that is alone."""


Value = TypeVar("Value")


class MixtureConfig(Config):
    """Hyperparameters of the mixture. Those that are None are found on the validation split."""

    penalty: float | None = Field(None, gt=0, description="λ of the linear expert")
    facts_weight: float | None = Field(None, ge=0, description="Weight of facts in its Gram matrix")
    text_weight: float | None = Field(None, ge=0, description="Weight of profiles or texts in its Gram matrix")
    dropout: float | None = Field(None, ge=0, lt=1, description="Share of choices left out on average")
    rank: int = Field(64, ge=1, description="Frequencies that the spectral expert lets pass")
    dimension: int = Field(128, ge=1, description="Width of an embedding of the graph expert")
    layers: int = Field(3, ge=1, description="Its layers")
    temperature: float = Field(0.2, gt=0, description="τ of its softmax loss")
    learning_rate: float = Field(0.005, gt=0, description="Its step size")
    batch_size: int | None = Field(None, ge=1, description="Interactions per step; by default as in LightGCN")
    graph_epochs: int | None = Field(None, ge=1, description="Epochs of the graph expert")
    most_epochs: int = Field(24, ge=1, description="Maximum number of epochs that are tried")
    factors: int = Field(64, ge=1, description="Width of the factors' vectors")
    unobserved_weight: float | None = Field(
        None, gt=0, description="α₀ of the factors: the weight of what was not chosen"
    )
    factors_penalty: float | None = Field(None, gt=0, description="λ of the factors")
    factors_starts: int = Field(4, ge=1, description="Random starts of the factors, whose scores are averaged")
    unproven_weight: float = Field(
        0.15, ge=0, description="Weight of interests without evidence, where all other experts together weigh 1"
    )
    gate: mixing.Gate | None = Field(
        None, description="Of each expert: log-weight, and how it grows with the log of a history's length"
    )

    @field_validator("gate")
    @classmethod
    def _known(cls, given: mixing.Gate | None) -> mixing.Gate | None:
        if given is not None and not 0 < len(given.keys() & set(EXPERTS)) == len(given):
            raise ValueError(f"the experts are {', '.join(EXPERTS)}")
        return given


class Mixture(ClosedForm):
    """Fits the experts; in a selection also the gate.

    Raises:
        InputError: the gate that was given weighs interests without evidence, or the linear expert does not fit.
    """

    def __init__(self, data: TrainingData, config: MixtureConfig, device: torch.device) -> None:
        if config.gate is not None and "interests" in config.gate and not data.interests_proven:
            raise InputError(
                "the gate weighs the expert 'interests', but interests have no evidence, and may know what is held out",
                cure="Leave it out of the gate; in the refit it weighs unproven_weight",
            )
        if config.gate is not None and "linear" in config.gate:  # without a gate, it may be left out
            linear.demand_room(data.nodes.items, "mixture", device)
        self._data, self._config, self._device = data, config, device
        self._seed = torch.initial_seed() % 2**31
        self._absent: dict[str, str] = {}
        self._fitted: dict[str, Scorer] = {}

    @classmethod
    @override
    def memory(cls, data: TrainingData, config: MixtureConfig) -> int:
        """Of the graph expert, if there is one: the linear one is left out where its matrices do not fit."""
        if config.gate is not None and "graph" not in config.gate:
            return 0
        return Lightgcn.memory(data, LightgcnConfig(dimension=config.dimension))

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        """Every expert alone, then all of them mixed: what is best on the validation split is served."""
        config, found = self._config, dict[str, Any]()
        if config.gate is not None:
            for name in sorted(config.gate, key=EXPERTS.index):
                found |= self._fit(name, config.model_dump() | found)
            yield found | {"gate": config.gate}, self._mixed(config.gate)
            return
        for name in self._possible():
            found |= self._fit(name, found)
            yield found | {"gate": {name: EVEN}}, self._mixed({name: EVEN})
        gate = mixing.fit_gate(self._data, self._fitted, self._seed)
        yield found | {"gate": gate}, self._mixed(gate)

    @override
    def notes(self, chosen: Mapping[str, Any]) -> Iterator[str]:
        """Which experts were left out and why, and which has a weight that was not fitted."""
        if self._data.selection is None:
            if "interests" in self._fitted and not self._data.interests_proven:
                weight = f"{self._config.unproven_weight:g}"
                yield f"interests have no evidence: the weight of their expert was not fitted, but fixed at {weight}"
            return
        for name, reason in self._absent.items():
            yield f"without the expert {name!r}: {reason}"
        left = [name for name in self._fitted if name not in chosen["gate"]]
        if left and len(chosen["gate"]) == 1:
            yield f"only the expert {next(iter(chosen['gate']))!r} is served: alone it ranked best on valid"
        else:
            for name in left:
                yield f"without the expert {name!r}: the gate, fitted on valid, gave it less than {mixing.LEAST:.0%}"

    def _possible(self) -> list[str]:
        """The experts that the data allow."""
        data, possible = self._data, list(EXPERTS)
        if not matching.centred(data.item_profile).any():
            self._absent["texts"] = "no text vectors tell the items apart"
        if not len(data.interest_index):
            self._absent["interests"] = "no user has an interest"
        elif not data.interests_proven:
            possible.remove("interests")
        if (reason := linear.lack_of_room(data.nodes.items, self._device)) is not None:
            self._absent["linear"] = reason
        return [name for name in possible if name not in self._absent]

    def _fit(self, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
        """Fit an expert, or take up what an interrupted training kept of it.

        Args:
            name: of the expert.
            found: hyperparameters that were selected before.

        Returns:
            The hyperparameters that were selected for it.
        """
        fits: dict[str, Callable[[], Part]] = {
            "popularity": lambda: (_only(Popularity(self._data, PopularityConfig(), self._device)), {}),
            "spectral": lambda: (_only(GfCf(self._data, self._spectrum(), self._device)), {}),
            "texts": lambda: (_only(Texts(self._data, TextsConfig(), self._device)), {}),
            "interests": lambda: (_only(Interests(self._data, InterestsConfig(), self._device)), {}),
            "graph": lambda: self._graph(found),
            "factors": lambda: self._factors(found),
            "linear": lambda: self._linear(found),
        }
        self._fitted[name], chosen = self._shop.once(name, fits[name])
        return chosen

    @property
    def _shop(self) -> Workshop:
        return self.workshop or Workshop(self._device)

    def _mixed(self, gate: mixing.Gate) -> MixtureScorer:
        """The mixture; in a refit with interests that could not be fitted, at their fixed weight."""
        data, experts = self._data, {name: self._fitted[name] for name in gate}
        gates = mixing.weights(gate, mixing.history_lengths(data.fit, data.nodes.users))
        if data.selection is None and not data.interests_proven and self._config.unproven_weight and len(gate) > 1:
            self._fit("interests", {})
            experts["interests"] = self._fitted["interests"]
            gates = torch.cat([gates, torch.full((len(gates), 1), self._config.unproven_weight)], dim=1)
        return MixtureScorer.of(gates.to(self._device), experts)

    @property
    def _blind(self) -> bool:
        """Whether interests may know what is selected on, so that nothing may see them."""
        return self._data.selection is not None and not self._data.interests_proven

    def _spectrum(self) -> GfCfConfig:
        return GfCfConfig(rank=self._config.rank, linear=False)

    def _factors(self, found: Mapping[str, Any]) -> Part:
        """iALS; in a selection, how much it heeds what was not chosen, which depends on how much was."""
        starts, known = self._config.factors_starts, {**self._config.model_dump(include=set(FACTORS)), **found}
        given = {name: known[name] for name in FACTORS if known[name] is not None}
        if len(given) == len(FACTORS):
            return self._ials(given, starts), given
        best: tuple[float, dict[str, Any]] | None = None

        def better(density: tuple[float, float]) -> bool:
            nonlocal best
            tried = dict(zip(FACTORS, density, strict=True)) | given
            score = mixing.worth(self._data, self._ials(tried, 1), self._fitted.get("graph"), self._seed)
            if best is not None and score <= CLEARLY * best[0]:
                return False
            best = score, tried
            return True

        _climb(DENSITIES, better)
        assert best is not None  # noqa: S101
        return self._ials(best[1], starts), best[1]

    def _ials(self, found: Mapping[str, Any], starts: int) -> Scorer:
        config = self._config
        settings = IalsConfig(
            dimension=config.factors,
            unobserved_weight=found["unobserved_weight"],
            penalty=found["factors_penalty"],
            interests=not self._blind,
            rounds=ROUNDS,
            starts=starts,
        )
        with seeded(self._seed, self._device):  # whichever experts were fitted before it or taken up
            return _only(Ials(self._data, settings, self._device))

    def _linear(self, found: Mapping[str, Any]) -> Part:
        """EASE; in a selection, what to add to its Gram matrix and the penalty, as long as the next is better.

        Last it is tried without dropout. It is judged by what it is worth beside the graph: a small penalty can rank
        better alone, and leave a mixture fewer candidates.
        """
        config, data = self._config, self._data
        if all(found.get(name) is not None for name in LINEAR):
            return self._ease(found), {}
        best: tuple[float, Scorer, dict[str, Any]] | None = None

        def better(penalty: float, fact_share: float, text_share: float, dropout: float = DROPOUTS[0]) -> bool:
            nonlocal best
            tried = {
                "penalty": penalty,
                "facts_weight": fact_share * penalty if config.facts_weight is None else config.facts_weight,
                "text_weight": text_share * penalty if config.text_weight is None else config.text_weight,
                "dropout": dropout if config.dropout is None else config.dropout,
            }
            scorer = self._ease(tried)
            score = mixing.worth(data, scorer, self._fitted.get("graph"), self._seed)
            if best is not None and score <= CLEARLY * best[0]:
                return False
            best = score, scorer, tried
            return True

        penalty = PENALTIES[FIRST] if config.penalty is None else config.penalty
        better(penalty, 0.0, 0.0)
        facts = SHARES if config.facts_weight is None and len(data.head_index) else ()
        fact = _climb(facts, lambda share: better(penalty, share, 0.0)) or 0.0
        texts = SHARES if config.text_weight is None and linear.has_text(data) else ()
        text = _climb(texts, lambda share: better(penalty, fact, share)) or 0.0
        for way in (PENALTIES[FIRST + 1 :], PENALTIES[:FIRST][::-1]) if config.penalty is None else ():
            if (climbed := _climb(way, lambda each: better(each, fact, text))) is not None:
                penalty = climbed  # what lies the other way is worse
                break
        if config.dropout is None:
            better(penalty, fact, text, DROPOUTS[1])
        assert best is not None  # noqa: S101
        return best[1:]

    def _ease(self, found: Mapping[str, Any]) -> Scorer:
        return _only(Ease(self._data, EaseConfig(**{name: found[name] for name in LINEAR}), self._device))

    def _graph(self, found: Mapping[str, Any]) -> Part:
        """LightGCN; in a selection it is trained until the validation split shows no gain."""
        epochs = found.get("graph_epochs") or self._config.graph_epochs
        shop = self._shop.within("graph")
        fit = GradientFit(self._lightgcn(), self._data, self._seed, GRAPH_METRIC, PATIENCE, shop, every=LOOK)
        fitted = fit.select(self._config.most_epochs) if epochs is None else fit.refit(epochs)
        return fitted.scorer, {"graph_epochs": fitted.chosen_epoch}

    def _lightgcn(self) -> Lightgcn:
        config = self._config
        settings = LightgcnConfig(
            graph=View.CKG if self._blind else View.CIKG,
            dimension=config.dimension,
            layers=config.layers,
            temperature=config.temperature,
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
        )
        with seeded(self._seed, self._device):  # whichever experts were fitted before it or taken up
            return Lightgcn(self._data, settings, self._device)


def _climb(values: Iterable[Value], better: Callable[[Value], bool]) -> Value | None:
    """The last of the values that were each better than the one before; None if not even the first was."""
    found = None
    for value in values:
        if not better(value):
            break
        found = value
    return found


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
        "graph, to the factors, and to an expert of small fixed weight",
    ),
    config=MixtureConfig,
    build=Mixture,
    cautious=("interests",),
)
