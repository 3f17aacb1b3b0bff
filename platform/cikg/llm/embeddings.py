"""Vectors of texts from any server that speaks OpenAI's API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openai
from numpy.typing import NDArray

from cikg.errors import ServiceError, UnreachableError
from cikg.llm.client import named_error
from cikg.settings import Settings

BATCH = 128
"""Texts a request: providers allow more, small servers of one's own do not."""


class OpenAIEmbedder:
    """An embedding model behind HTTP. Close it when done.

    Args:
        settings: the address (`embedding_base_url`, else `openai_base_url`), key and time-outs.
        model: the model to ask.

    Raises:
        UnreachableError: no address is known, or nothing answers there.
        AuthenticationError: the key is refused.
        NotFoundError: the server has no such model.
        ServiceError: no answer in time, or one of no use.
    """

    fitted = False

    def __init__(self, settings: Settings, model: str) -> None:
        address = settings.embedding_base_url or settings.openai_base_url
        if address is None:
            raise UnreachableError(
                "no server for embeddings is configured",
                cure="Start the offline stand-in with `cikg up`, or set CIKG_EMBEDDING_BASE_URL",
            )
        self.model, self._where = model, f"the embedding server at {address}"
        self._openai = openai.OpenAI(
            base_url=address,
            api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none",
            timeout=settings.llm_timeout,
            max_retries=settings.llm_retries,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),  # a server must not send texts elsewhere
        )
        try:
            self.dimension = self.embed(["How long is a vector?"]).shape[1]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._openai.close()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Make vectors of texts: (texts, dimension), rows of Euclidean length 1. Requests that fail are repeated.

        Raises:
            ServiceError: as for the class.
        """
        parts = [self._ask(list(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)]
        vectors = np.concatenate(parts)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise ServiceError(f"{self._where} returned a vector that is zero or not finite")
        unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
        return unit

    def _ask(self, texts: list[str]) -> NDArray[np.float32]:
        """The vectors of one request, in the order of its texts."""
        try:
            rows: list[Any] = self._openai.embeddings.create(model=self.model, input=texts).data or []
            vectors = np.array([row.embedding for row in sorted(rows, key=lambda row: row.index)], dtype=np.float32)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            settings = {"model_setting": "CIKG_EMBEDDER", "address_setting": "CIKG_EMBEDDING_BASE_URL"}
            raise named_error(error, self._where, self.model, **settings) from None
        expected = (len(texts), getattr(self, "dimension", vectors.shape[-1]))
        if vectors.ndim != 2 or vectors.shape != expected:
            raise ServiceError(f"{self._where} returned vectors of shape {vectors.shape}, expected {expected}")
        return vectors
