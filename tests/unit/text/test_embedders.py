"""Embedders: what a vector keeps of a text, and a real sentence-transformers model, tiny and made on the spot."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cikg.errors import NotFoundError
from cikg.text.embedders import Lexical, SentenceTransformers
from cikg.text.lexical import compress
from cikg.text.lexical import embed as tf_idf


def phrases(count: int, words: int, seed: int = 0) -> list[str]:
    """Distinct phrases of one to four words, of which a few are frequent and most are rare."""
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, words + 1)
    found: set[str] = set()
    while len(found) < count:
        chosen = random.choice(words, random.integers(1, 5), p=share / share.sum())
        found.add(" ".join(sorted({f"word{number}" for number in chosen})))
    return sorted(found)


def test_compression_keeps_what_is_near_and_brings_nothing_near() -> None:
    """Truncated SVD alone takes hundreds of pairs of rare phrases for one."""
    matrix = tf_idf(phrases(1_500, 2_000))
    exact = (matrix @ matrix.T).toarray()
    vectors = compress(matrix, 64)
    assert vectors.shape == (1_500, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    above = np.triu_indices(1_500, 1)
    true, found = exact[above], (vectors @ vectors.T)[above]
    near = found >= 0.9
    assert near.sum() >= 20
    assert (true[near] >= 0.7).all()
    assert near[true >= 0.9].mean() >= 0.75
    assert np.abs(found - true).mean() < 0.15


def test_a_small_vocabulary_is_kept_exactly() -> None:
    matrix = tf_idf(phrases(40, 20))
    vectors = compress(matrix, 64)
    np.testing.assert_allclose(vectors @ vectors.T, (matrix @ matrix.T).toarray(), atol=1e-6)
    assert not vectors[:, matrix.shape[1] :].any()


def test_lexical_compares_the_words_that_carry_meaning() -> None:
    model = Lexical()
    assert (model.model, model.dimension, model.fitted) == ("lexical", 64, True)
    texts = ["Gothic horror", "tales of gothic horror", "sea voyages", *phrases(300, 500)]
    vectors = model.embed(texts)
    assert vectors[0] @ vectors[1] == pytest.approx(1)
    assert vectors[0] @ vectors[2] < 0.5
    np.testing.assert_array_equal(vectors, Lexical().embed(texts))
    assert Lexical(16).embed(texts).shape == (303, 16)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=20), st.integers(2, 12))
def test_every_text_has_a_vector_of_length_one(texts: list[str], dimension: int) -> None:
    vectors = Lexical(dimension).embed(texts)
    assert vectors.shape == (len(texts), dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_few_rows_of_many_words() -> None:
    matrix = sp.csr_matrix(np.eye(3, 500))
    np.testing.assert_allclose(compress(matrix, 8) @ compress(matrix, 8).T, np.eye(3), atol=1e-6)


def tiny_model(folder: Path, dimension: int = 12) -> Path:
    """A BERT of random weights over a vocabulary of letters, saved as a sentence-transformers model."""
    import torch  # noqa: PLC0415 - seconds, for the tests of this model alone
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers import BertConfig, BertModel, BertTokenizer  # noqa: PLC0415

    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": dimension, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    bert = BertModel(BertConfig(vocab_size=len(tokens), **sizes))
    bert.save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    SentenceTransformer(str(folder / "bert"), device="cpu").save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "one")


def test_a_sentence_transformers_model_is_loaded_from_its_folder(model: Path, tmp_path: Path) -> None:
    loaded = SentenceTransformers(str(model), "cpu")
    assert (loaded.dimension, loaded.fitted) == (12, False)
    assert loaded.model.startswith("model-")
    texts = ["gothic horror", "sea", "gothic horror"]
    vectors = loaded.embed(texts)
    assert (vectors.shape, vectors.dtype) == ((3, 12), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)
    np.testing.assert_allclose(loaded.embed(["sea"])[0], vectors[1], atol=1e-5)
    other = tiny_model(tmp_path / "other", dimension=8)
    assert SentenceTransformers(str(other), "cpu").model != loaded.model, "folders of one name are told apart"


@pytest.mark.parametrize("name", ["nobody/has-this-model", "{folder}"])
def test_a_model_that_is_not_here_is_named_and_nothing_is_fetched(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match=r"cannot be loaded: .*\. Give a folder that holds one") as raised:
        SentenceTransformers(name.format(folder=tmp_path))
    assert "nobody" in str(raised.value) or str(tmp_path) in str(raised.value)
    logging.getLogger("sentence_transformers").setLevel(logging.NOTSET)
