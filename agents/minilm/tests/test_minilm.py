import math

import pytest
from minilm.activities import EmbedInput, app, embed
from tartan_agent import RefusedError
from temporalio.testing import ActivityEnvironment


def similarity(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_meaning_is_near() -> None:
    texts = ["The disk is full.", "No space left on the device.", "The cat sleeps on the sofa.", "word " * 400]
    found = ActivityEnvironment().run(embed, EmbedInput(texts))
    assert found.cut == [False, False, False, True]
    for v in found.vectors:
        assert len(v) == 384
        assert math.isclose(similarity(v, v), 1, rel_tol=1e-4)
    disk, space, cat, _ = found.vectors
    assert similarity(disk, space) > 0.5 > 0.3 > similarity(disk, cat)


def test_the_order_of_texts_does_not_matter() -> None:
    env, texts = ActivityEnvironment(), ["one", "two words", "three short words", "four"]
    there = env.run(embed, EmbedInput(texts)).vectors
    back = env.run(embed, EmbedInput(texts[::-1])).vectors[::-1]
    for a, b in zip(there, back, strict=True):
        assert similarity(a, b) == pytest.approx(1, abs=1e-4)


def test_what_is_refused() -> None:
    env = ActivityEnvironment()
    with pytest.raises(RefusedError, match=r"\$\.texts\[1\] is empty"):
        env.run(embed, EmbedInput(["a", " "]))
    with pytest.raises(RefusedError, match="at most 256 at once, not 257"):
        env.run(embed, EmbedInput(["a"] * 257))
    assert env.run(embed, EmbedInput([])).vectors == []


def test_the_manifest_and_the_code_agree() -> None:
    assert app.describe()["activities"][0]["name"] == "minilm.embed"
