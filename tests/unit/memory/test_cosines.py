"""Products of half-precision vectors."""

from __future__ import annotations

import numpy as np
import pytest

from memory.cosines import products


@pytest.mark.parametrize("count", [0, 1, 100, 5_000])
def test_many_and_few_are_what_double_precision_gives(count: int) -> None:
    draw = np.random.default_rng(1)
    vectors = draw.standard_normal((count, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    direction = (draw.standard_normal(384) / np.sqrt(384)).astype(np.float32)
    found = products(vectors.astype(np.float16), direction)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, vectors @ direction.astype(np.float64), atol=3e-4)
