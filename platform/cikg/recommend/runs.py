"""A training run on disk: what it was, how it went, and the tensors that score.

    <home>/runs/<run id>/
        manifest.json              what was trained, on what, how, and what a report must warn of
        weights.safetensors        the scorer
        curve.json                 loss and metric of every epoch
        places-valid.safetensors   where the validation items came in the selected model's rankings
        evaluation.json            once `cikg evaluate` has opened the test split; beside it places-test.safetensors
        stages-….json              once `cikg report stages` has measured what each stage is worth
        checkpoint-….safetensors   only while training: enough to go on as if it had never stopped
        parts-…/                   likewise: the parts of a model that are fitted already

Each file is written beside its place, synced and renamed; the manifest comes last, so a run that has one is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors

from cikg.errors import NotFoundError, SnapshotError
from cikg.files import write_file
from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.recommend.data.nodes import Array
from cikg.settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from cikg.recommend.scorers import Scorer

# Torch takes seconds to load, and comparing runs needs none of it: only weights do.
# ruff: noqa: PLC0415

MANIFEST, WEIGHTS, CURVE = "manifest.json", "weights.safetensors", "curve.json"
EVALUATION, PLACES, CHECKPOINT = "evaluation.json", "places-{split}.safetensors", "checkpoint-{phase}.safetensors"
PARTS, STAGES = "parts-{phase}", "stages-{metric}.json"


def run_id(method: str, dataset: str, parameters: dict[str, Any]) -> str:
    """The name of a run: method, dataset and a digest of everything that determines its result."""
    text = json.dumps({"method": method, "dataset": dataset, **parameters}, sort_keys=True)
    return f"{method}-{dataset}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def write_json(path: Path, data: Any) -> None:
    """Write JSON that people can read and diff."""
    write_file(path, (json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SnapshotError: it is missing or damaged; names the file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(f"{path} is missing", cure="Train again") from None
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} is damaged: {error}", cure="Delete its folder and train again") from None
    if not isinstance(data, dict):
        raise SnapshotError(f"{path} is damaged: it is not a JSON object", cure="Delete its folder and train again")
    return data


def write_tensors(path: Path, tensors: dict[str, Tensor], note: dict[str, Any]) -> None:
    """Write named tensors and a note in JSON."""
    import safetensors.torch

    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, safetensors.torch.save(whole, metadata={"note": json.dumps(note, sort_keys=True)}))


def read_tensors(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        SnapshotError: the file is missing or damaged; names it.
    """
    return _read(path, "pt", str(device))


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read what `write_tensors` wrote, as arrays: without torch.

    Raises:
        SnapshotError: the file is missing or damaged; names it.
    """
    return _read(path, "np", "cpu")


def _read(path: Path, framework: str, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, framework=framework, device=device) as file:
            note = json.loads((file.metadata() or {})["note"])
            return {name: file.get_tensor(name) for name in file.keys()}, note  # noqa: SIM118
    except FileNotFoundError:
        raise SnapshotError(f"{path} is missing", cure="Train again") from None
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise SnapshotError(f"{path} is damaged: {error}", cure="Delete its folder and train again") from None


def forget_measurements(path: Path) -> None:
    """Remove what was measured on test: the weights of which it says so are about to be replaced."""
    for name in (EVALUATION, PLACES.format(split="test"), STAGES.format(metric="*")):
        for file in path.glob(name):
            file.unlink()


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Recommender:
    """A trained method, ready to score.

    Attributes:
        path: its run directory.
        manifest: what was trained, on what, how.
        scorer: gives the scores.
    """

    path: Path
    manifest: dict[str, Any]
    scorer: Scorer

    @property
    def run_id(self) -> str:
        """Its name."""
        return str(self.manifest["run"])

    @property
    def snapshot_hash(self) -> str:
        """The snapshot whose indices it speaks."""
        return str(self.manifest["snapshot"])

    def scores(self, user_index: Array) -> Array:
        """Scores of all items for B users: float32, shape (B, items)."""
        import torch

        scores: Array = self.scorer.scores(torch.from_numpy(np.asarray(user_index, dtype=np.int64))).numpy()
        return scores

    def shares(self, user_index: Array, item_index: Array) -> tuple[list[str], Array]:
        """The experts, and what each adds to the scores of some items; no expert where the method is but one model.

        Args:
            user_index: shape (B,).
            item_index: shape (B, k).

        Returns:
            Names, and float32 of shape (B, k, experts): the sum over experts is the score.
        """
        import torch

        items = torch.from_numpy(np.asarray(item_index, dtype=np.int64))
        names, found = [], []
        for name, share in self.scorer.shares(torch.from_numpy(np.asarray(user_index, dtype=np.int64))):
            names.append(name)
            found.append(share.gather(1, items))
        return names, torch.stack(found, dim=2).numpy() if found else np.empty((*item_index.shape, 0), np.float32)


def load(path: Path) -> Recommender:
    """Open a finished run.

    Raises:
        SnapshotError: a file of it is missing or damaged; names it.
    """
    from cikg.recommend.parts import intent_scoring as _intent_scoring  # noqa: F401 - defines a kind of scorer
    from cikg.recommend.scorers import Scorer

    manifest = read_json(path / MANIFEST)
    weights = path / WEIGHTS
    if not weights.is_file():
        raise SnapshotError(f"{weights} is missing", cure="Train again")
    if digest(weights) != manifest.get("weights"):
        raise SnapshotError(
            f"{weights} is damaged: its SHA-256 differs from the manifest's", cure="Delete its folder and train again"
        )
    tensors, note = read_tensors(weights)
    return Recommender(path, manifest, Scorer.restore(note["kind"], tensors))


def snapshot(settings: Settings, manifest: Mapping[str, Any]) -> Snapshot:
    """The snapshot that a run was trained on, by its hash.

    Raises:
        NotFoundError: it is no longer kept.
    """
    path = settings.snapshots / str(manifest["dataset"]) / str(manifest["snapshot"])[:16]
    if not path.is_dir():
        raise NotFoundError(
            f"the snapshot {manifest['snapshot']} that {manifest['run']} was trained on is not in {settings.snapshots}",
            cure="Give its folder with --snapshot, or train again",
        )
    return open_snapshot(path)


def directory(settings: Settings, run: str) -> Path:
    """The directory of a finished run: by its name, a prefix of its name that no other has, or its path.

    Raises:
        NotFoundError: there is none, or several; names the candidates.
    """
    found = directories(settings, run)
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found)
    raise NotFoundError(f"the names of several runs begin with {run!r}", cure=f"Choose one of {names}")


def directories(settings: Settings, run: str) -> list[Path]:
    """The directories of all finished runs of a name, or whose names begin so, or the one at a path.

    Raises:
        NotFoundError: there is none; names those there are.
    """
    if (Path(run) / MANIFEST).is_file():
        return [Path(run)]
    names = sorted(path.parent.name for path in settings.runs.glob(f"*/{MANIFEST}"))
    found = [name for name in names if name == run] or [name for name in names if name.startswith(run)]
    if found:
        return [settings.runs / name for name in found]
    known = f"Finished runs are {', '.join(names)}" if names else "Train one with `cikg train mixture`"
    raise NotFoundError(f"there is no finished run named {run!r} in {settings.runs}", cure=known)
