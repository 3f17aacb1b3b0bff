"""What a method is: one file of `cikg.recommend.methods` that defines `METHOD`, found by its file name.

    METHOD = Method(paper="…", departures=("…",), config=MyConfig, build=MyModel)

`build(data, config, device)` returns one of two shapes, and the engine does the rest:

- `ClosedForm` yields finished candidates; the engine keeps the one that is best on the validation split;
- `Gradient` is a module that yields losses; the engine zeroes, goes backward, steps, evaluates and stops early.

What `cikg tune` may try stands beside the config, by the names of its fields; a setting that is not named keeps its
default, and a method that names none cannot be tuned:

    search={"penalty": Span(10.0, 3000.0, log=True), "layers": Span(1, 4), "loss": ("softmax", "bpr")}
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn
from typing_extensions import override

from cikg.errors import InputError
from cikg.recommend import methods
from cikg.recommend.data.views import TrainingData
from cikg.recommend.scorers import Scorer
from cikg.recommend.workshop import Workshop


class Config(BaseModel):
    """Base of every method's hyperparameters: immutable, validated, each field described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClosedForm(ABC):
    """A method whose fit is a formula, or is made of parts that it fits itself.

    Attributes:
        workshop: keeps the parts that are fitted, for a training that is interrupted; None outside the engine.
    """

    workshop: Workshop | None = None

    @classmethod
    def memory(cls, data: TrainingData, config: Any) -> int:
        """Bytes that training will hold, roughly, known before anything is made; 0 where that is not said."""
        return 0

    @abstractmethod
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        """Yield fitted scorers, each with the config fields that make it the only candidate."""

    def notes(self, chosen: Mapping[str, Any]) -> Iterable[str]:
        """What people should know of the fit, in sentences; asked after the last candidate.

        Args:
            chosen: the config fields of the candidate that was best.
        """
        return ()


class OneFit(ClosedForm):
    """A closed form with one candidate.

    Attributes:
        scorer: what was fitted, as soon as it is made.
    """

    scorer: Scorer

    @override
    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        yield {}, self.scorer


class Gradient(nn.Module, ABC):
    """A method fitted by gradient steps. The engine owns the loop; the module says what a step is."""

    @classmethod
    def memory(cls, data: TrainingData, config: Any) -> int:
        """Bytes that training will hold, roughly, known before anything is made; 0 where that is not said."""
        return 0

    @abstractmethod
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers by name."""

    @abstractmethod
    def steps(self, epoch: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """One epoch: yield the name of an optimiser and a loss for it to lower.

        The engine takes the step before it asks for the next loss, so alternating objectives are alternating yields.

        Args:
            epoch: from 0.
            generator: the only source of randomness, so that a resumed run goes on as if it had never stopped.
        """

    @abstractmethod
    def scorer(self) -> Scorer:
        """The scores as they are now, apart from the module's parameters; called without gradients."""

    def candidates(self) -> Iterator[tuple[dict[str, Any], Scorer]]:
        """Yield what a selection may choose from now, each with the config fields that make it the only candidate.

        For settings that no loss reads, such as the weight of a part that is added to what was learned.
        """
        yield {}, self.scorer()


@dataclass(frozen=True)
class Span:
    """A range that tuning searches, both ends included: whole numbers if both ends are, else real ones.

    Attributes:
        low: the least value.
        high: the greatest.
        log: search orders of magnitude evenly, rather than values.
    """

    low: float
    high: float
    log: bool = False


Search = Span | tuple[str | float | bool, ...]
"""A range, or values to choose from."""


@dataclass(frozen=True)
class Method:
    """One recommender.

    Attributes:
        paper: what to cite.
        departures: each point in which the method, by default, is not what the paper says.
        departs: the same of any configuration, where it depends on that.
        config: its hyperparameters.
        build: makes the model from data, config and device.
        epochs: the most epochs of a gradient method.
        patience: epochs without a better validation metric after which it stops.
        search: where `cikg tune` looks, by the names of the config's fields.
        cautious: what it keeps from the selection where that has no evidence, so that only a refit reads it.
    """

    paper: str
    departures: tuple[str, ...]
    config: type[Config]
    build: Callable[[TrainingData, Any, torch.device], ClosedForm | Gradient]
    epochs: int = 100
    patience: int = 10
    departs: Callable[[Any], tuple[str, ...]] | None = None
    search: Mapping[str, Search] = field(default_factory=dict)
    cautious: tuple[Literal["interests", "profiles"], ...] = ()


def find(name: str) -> Method:
    """The method called `name`.

    Raises:
        NotFoundError: there is none; lists those there are.
    """
    methods.check(name)
    found: Method = importlib.import_module(f"{methods.__name__}.{name.replace('-', '_')}").METHOD
    return found


def configure(name: str, overrides: Mapping[str, Any]) -> Config:
    """A method's hyperparameters with some fields set.

    Args:
        name: the method.
        overrides: fields by name; text is converted.

    Raises:
        InputError: a field is unknown (lists the known ones) or its value is out of range.
    """
    kind = find(name).config
    try:
        return kind.model_validate(dict(overrides))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields) or "none"
            raise InputError(f"{name} has no hyperparameter {field!r}", cure=f"It has {known}") from None
        said = first["msg"].removeprefix("Value error, ")
        if not field:  # several that contradict each other
            raise InputError(f"{name}: {said}", cure="Correct one of them with --set") from None
        about = f": {kind.model_fields[field].description}" if field in kind.model_fields else ""
        raise InputError(
            f"{first['input']!r} cannot be the hyperparameter {field!r} of {name}: {said[0].lower()}{said[1:]}",
            cure=f"{field}{about}",
        ) from None
