"""Texts to the token ids of the model's own tokenizer, and long texts to chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from memory.errors import ModelMismatch

WINDOW = 254  # content tokens of a chunk; with the two special ones the 256 that the model was trained on
MAX_CHUNKS = 64  # of one text: what lies behind is not embedded, so that a text of 1 MB costs no more than these
MAX_CHARACTERS = MAX_CHUNKS * WINDOW * 8  # what is tokenised for embedding; English has four to five a token

_ENDS = (".", "!", "?", "…", "。", "!", "?", ";")


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of similar length, padded: ``ids`` and ``real`` are (length, texts); ``real`` is False on padding."""

    ids: NDArray[np.int64]
    real: NDArray[np.bool_]

    @classmethod
    def of(cls, flat: NDArray[np.int64], lengths: NDArray[np.int64]) -> Batch:
        """From token ids one text after the other, and the number of tokens of each text."""
        real = np.arange(int(lengths.max()))[None, :] < lengths[:, None]
        ids = np.zeros(real.shape, np.int64)
        ids[real] = flat
        return cls(np.ascontiguousarray(ids.T), np.ascontiguousarray(real.T))

    def content_rows(self) -> NDArray[np.int64]:
        """Rows of the (length · texts, hidden) states that hold content, text by text: all but the first and last."""
        lengths = self.real.sum(0)
        position = np.arange(len(self.ids))[None, :]
        text, place = np.nonzero((position > 0) & (position < lengths[:, None] - 1))
        rows: NDArray[np.int64] = place * self.ids.shape[1] + text
        return rows


class WordPieces:
    """The tokenizer of a model folder. Safe for concurrent use; never truncates unless told."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower for a damaged file
            raise ModelMismatch(f"{path} is damaged: install the model again.") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a message is text
        self._first = self._id("[CLS]")
        self._last = self._id("[SEP]")
        vocabulary = self._tokenizer.get_vocab()
        self._ends = np.array([vocabulary[end] for end in _ENDS if end in vocabulary])
        self._continues = np.zeros(max(vocabulary.values()) + 1, np.bool_)
        self._continues[[i for word, i in vocabulary.items() if word.startswith("##")]] = True

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Content token ids of each text, without special tokens; empty where nothing is left of a text."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]  # a lone surrogate is not a character
        return [found.ids for found in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return len(self.ids([text])[0])

    def words(self, token_ids: Sequence[int]) -> list[str]:
        """Vocabulary entries; an id outside the vocabulary gives ``[UNK]``."""
        return [self._tokenizer.id_to_token(int(i)) or "[UNK]" for i in token_ids]

    def batch(self, chunks: Sequence[Sequence[int] | NDArray[np.int64]]) -> Batch:
        """Chunks with the special tokens around each, padded."""
        parts: list[Sequence[int] | NDArray[np.int64]] = []
        for chunk in chunks:
            parts += ((self._first,), chunk, (self._last,))
        lengths = np.array([len(chunk) + 2 for chunk in chunks], np.int64)
        return Batch.of(np.concatenate(parts).astype(np.int64), lengths)

    def chunks(self, ids: Sequence[int]) -> list[NDArray[np.int64]]:
        """Cut ids into at most 64 windows of at most 254 tokens.

        A window ends behind the last sentence end of its second half, else before the last word that begins there,
        else where it is full. What lies behind the 64th is left out.
        """
        rest = np.asarray(ids, np.int64)
        found: list[NDArray[np.int64]] = []
        while len(rest) and len(found) < MAX_CHUNKS:
            cut = len(rest) if len(rest) <= WINDOW else self._cut(rest)
            found.append(rest[:cut])
            rest = rest[cut:]
        return found

    def _cut(self, ids: NDArray[np.int64]) -> int:
        half = WINDOW // 2
        ends = np.flatnonzero(np.isin(ids[half:WINDOW], self._ends))
        if len(ends):
            return half + int(ends[-1]) + 1
        begins = np.flatnonzero(~self._continues[ids[half : WINDOW + 1]])
        return half + int(begins[-1]) if len(begins) else WINDOW

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelMismatch(f"The tokenizer has no {token}: configure the folder of a BERT model.")
        return int(found)
