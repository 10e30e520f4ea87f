"""Series whose truth is known."""

import numpy as np

START = np.datetime64("2024-01-01", "us")


def hours(count):
    return START + np.arange(count) * np.timedelta64(3_600_000_000, "us")


def days(count):
    return START + np.arange(count) * np.timedelta64(86_400_000_000, "us")


def months(count):
    return (np.datetime64("2010-01", "M") + np.arange(count)).astype("datetime64[us]")


def wave(count, *, season, noise=0.0, seed=0):
    """A sine with a slow trend and normal noise."""
    steps = np.arange(count)
    rng = np.random.default_rng(seed)
    clean = 100 + 10 * np.sin(2 * np.pi * steps / season) + 0.01 * steps
    return clean + noise * rng.normal(size=count)
