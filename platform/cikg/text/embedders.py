"""What makes vectors of texts: one protocol, and the embedders that run in this process.

`lexical` needs no model and compares words; what it makes is called so wherever it appears. `sentence-transformers`
runs a model that is on this machine. A third, over HTTP, is in `cikg.llm.embeddings`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cikg.errors import NotFoundError
from cikg.text import lexical

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Makes vectors of texts.

    Attributes:
        model: what makes them, in a word; with the dimension it names the embedding.
        dimension: numbers per vector.
        fitted: whether a text's vector depends on the other texts, so that one more text changes all.
    """

    model: str
    dimension: int
    fitted: bool

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Make vectors of texts that are not blank: (texts, dimension), rows of Euclidean length 1."""
        ...


class Lexical:
    """TF-IDF over words, compressed. Fitted to the texts that are embedded together.

    Args:
        dimension: numbers per vector, at least 2.
    """

    model = "lexical"
    fitted = True

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Make vectors of texts; the same for the same texts in the same order."""
        return lexical.compress(lexical.embed([lexical.normalise(text) for text in texts]), self.dimension)


class SentenceTransformers:
    """A model of the library sentence-transformers, from this machine alone: nothing is downloaded.

    Args:
        name: a model's name, as it lies in the library's cache, or a folder that holds one.
        device: where it runs; the library chooses if None.

    Raises:
        NotFoundError: there is no such model here.
    """

    fitted = False

    def __init__(self, name: str, device: str | None = None) -> None:
        # Torch and transformers take seconds to import.
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415

        logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
        folder = Path(name)
        self._model: Any
        try:
            self._model = SentenceTransformer(name, device=device, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0].rstrip(". ") if folder.is_dir() else "it is not on this machine"
            raise NotFoundError(
                f"the sentence-transformers model {name!r} cannot be loaded: {reason}",
                cure="Give a folder that holds one, or download it first with `hf download`; cikg downloads no models",
            ) from None
        self.dimension = self.embed(["How long is a vector?"]).shape[1]
        self.model = f"{folder.resolve().name}-{_digest(folder)}" if folder.is_dir() else name

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Make vectors of texts."""
        vectors: Vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return vectors.astype(np.float32, copy=False)


def _digest(folder: Path) -> str:
    """A short digest of a folder's files: two models in folders of one name are two embeddings."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:8]
