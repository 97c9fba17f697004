"""Features of one window.

All are finite for any finite input. None but level and scale changes when the window is shifted or scaled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VERSION = "spectral/1"
BANDS = 8
NAMES = (
    "level",
    "scale",
    "skewness",
    "kurtosis",
    "crest",
    "zero_crossings",
    "turning_points",
    "slope",
    "autocorrelation_1",
    "period",
    "period_strength",
    "centroid",
    "spread",
    "flatness",
    *(f"band_{i}" for i in range(1, BANDS + 1)),
)
SHORTEST = 8


def features(values: Sequence[float], rate_hz: float) -> list[float]:
    """Return one number for each of NAMES. Frequencies and periods are in Hz and seconds of the given rate."""
    x = np.array(values, dtype=np.float64)
    if x.size < SHORTEST:
        raise ValueError(f"a window has at least {SHORTEST} values, not {x.size}")
    if not rate_hz > 0:
        raise ValueError(f"rate_hz is above 0, not {rate_hz}")
    peak = float(np.abs(x).max()) or 1.0  # by which nothing overflows, however large the values are
    x /= peak
    level, scale = float(x.mean()), float(x.std())
    z = (x - level) / scale if scale > 1e-12 else np.zeros_like(x)
    return [level * peak, scale * peak, *_shape(z), *_rhythm(z, rate_hz), *_spectrum(z, rate_hz)]


def _shape(z: NDArray[np.float64]) -> list[float]:
    n = z.size
    crossings = np.count_nonzero(np.signbit(z[1:]) != np.signbit(z[:-1])) / (n - 1)
    d = np.diff(z)
    turns = np.count_nonzero(np.signbit(d[1:]) != np.signbit(d[:-1])) / max(1, n - 2)
    t = np.linspace(-1.0, 1.0, n)
    slope = float(t @ z / (t @ t))
    return [float((z**3).mean()), float((z**4).mean()), float(np.abs(z).max()), float(crossings), float(turns), slope]


def _rhythm(z: NDArray[np.float64], rate_hz: float) -> list[float]:
    n = z.size
    power = np.abs(np.fft.rfft(z, 2 * n)) ** 2
    r = np.fft.irfft(power)[:n]
    if r[0] <= 0:
        return [0.0, 0.0, 0.0]
    r /= r[0]
    half = r[: n // 2 + 1]
    below = np.flatnonzero(half < 0)
    if below.size == 0:
        return [float(r[1]), 0.0, 0.0]
    lag = _first_peak(half, int(below[0]))
    # Fewer values overlap at a longer lag: that is not held against the strength.
    return [float(r[1]), _refined(half, lag) / rate_hz, float(min(1.0, max(0.0, r[lag] * n / (n - lag))))]


def _first_peak(r: NDArray[np.float64], start: int) -> int:
    """Return the first lag from start that is nearly as good as the best one: its multiples are as good, and not the period."""
    wanted = 0.8 * r[start:].max()
    lag = start + int(np.argmax(r[start:] >= wanted))
    while lag + 1 < r.size and r[lag + 1] > r[lag]:
        lag += 1
    return lag


def _refined(r: NDArray[np.float64], lag: int) -> float:
    """Return where the parabola through the peak and its neighbours is highest."""
    if not 0 < lag < r.size - 1:
        return float(lag)
    before, at, after = r[lag - 1 : lag + 2]
    bend = before - 2 * at + after
    return lag + (float(0.5 * (before - after) / bend) if bend < 0 else 0.0)


def _spectrum(z: NDArray[np.float64], rate_hz: float) -> list[float]:
    power = np.abs(np.fft.rfft(z * np.hanning(z.size)))[1:] ** 2
    total = float(power.sum())
    if total <= 0:
        return [0.0] * (3 + BANDS)
    hz = np.fft.rfftfreq(z.size, 1 / rate_hz)[1:]
    p = power / total
    centroid = float(hz @ p)
    spread = float(np.sqrt(max(0.0, float(((hz - centroid) ** 2) @ p))))
    flatness = float(np.exp(np.log(p + 1e-15).mean()) / p.mean())
    # Bands are equal in the logarithm of the frequency, so that two windows of different length have the same ones.
    edges = (rate_hz / 2) * 2.0 ** np.arange(-BANDS, 1)
    edges[0] = 0.0
    bands, _ = np.histogram(hz, bins=edges, weights=p)
    return [centroid, spread, flatness, *(float(b) for b in bands)]
