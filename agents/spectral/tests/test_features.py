import math
import random

import numpy as np
import pytest
from spectral.activities import FeaturesInput, Window, app, describe
from spectral.features import NAMES, features
from tartan_agent import RefusedError
from temporalio.testing import ActivityEnvironment


def named(values: list[float], rate: float = 1.0) -> dict[str, float]:
    return dict(zip(NAMES, features(values, rate), strict=True))


def test_a_sine_is_found_by_period_and_centroid() -> None:
    for hz in (2.0, 5.0, 12.0):
        f = named([math.sin(2 * math.pi * hz * i / 100) for i in range(1000)], 100)
        assert f["period"] == pytest.approx(1 / hz, rel=0.03)
        assert f["period_strength"] > 0.9
        assert f["centroid"] == pytest.approx(hz, rel=0.05)
        assert f["flatness"] < 0.01


def test_noise_is_flat_and_has_no_rhythm() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    f = named(list(np.random.default_rng(seed).normal(size=4000)))
    assert f["flatness"] > 0.4
    assert f["period_strength"] < 0.2
    assert f["kurtosis"] == pytest.approx(3, abs=0.6)


def test_shift_and_scale_change_nothing_else() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    x = np.random.default_rng(seed).normal(size=300).cumsum()
    a, b = named(list(x)), named(list(7 + 1e3 * x))
    for name in NAMES[2:]:
        assert b[name] == pytest.approx(a[name], rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("values", [[3.0] * 50, [0.0] * 8, [1e300, -1e300] * 8, [1e-300] * 9 + [2e-300], list(range(100))])
def test_every_feature_is_finite(values: list[float]) -> None:
    with np.errstate(all="ignore"):
        assert all(math.isfinite(v) for v in features(values, 1.0)), named(values)


def test_the_activity_names_what_it_refuses() -> None:
    env = ActivityEnvironment()
    good = env.run(describe, FeaturesInput([Window([float(i % 7) for i in range(50)])]))
    assert len(good.rows) == 1
    assert len(good.rows[0]) == len(good.names) == len(NAMES)
    with pytest.raises(RefusedError, match=r"\$\.windows\[1\] \(short\): a window has at least 8 values, not 2"):
        env.run(describe, FeaturesInput([Window([0.0] * 8), Window([1, 2], name="short")]))
    with pytest.raises(RefusedError, match="rate_hz is above 0"):
        env.run(describe, FeaturesInput([Window([0.0] * 8, rate_hz=0)]))


def test_the_manifest_and_the_code_agree() -> None:
    about = app.describe()
    assert about["activities"][0]["input"]["properties"]["windows"]["items"]["required"] == ["values"]
