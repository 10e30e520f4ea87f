"""A lasso that is slow and obvious: one weight at a time until nothing changes."""

import numpy as np


def lasso_by_descent(x, y, *, strength):
    weights = np.zeros(x.shape[1])
    for _ in range(3000):
        before = weights.copy()
        for j in range(x.shape[1]):
            rest = y - x @ weights + x[:, j] * weights[j]
            slope = x[:, j] @ rest / len(x)
            size = x[:, j] @ x[:, j] / len(x)
            weights[j] = np.sign(slope) * max(abs(slope) - strength, 0.0) / size
        if np.abs(weights - before).max() < 1e-10:
            break
    return weights
