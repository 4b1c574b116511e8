"""Which mistakes are more frequent than how often each class errs and attracts can explain."""

from __future__ import annotations

import numpy as np

from rnnprobe.records import Array
from rnnprobe.statistics import holm

_MOST_ROUNDS = 1_000
_TOLERANCE = 1e-9


def expected_mistakes(matrix: Array) -> Array | None:
    """Return how frequent each mistake would be if classes were mistaken blindly.

    That is quasi-independence of the cells off the diagonal: row i, column j is proportional to
    how often class i errs times how much class j attracts, and rows and columns sum to those
    found. It is fitted by iterative proportional fitting, which gives the maximum likelihood; a
    Newton step after each round makes it fast.

    Args:
        matrix: int64 (num_classes, num_classes), true classes down, predicted across; the
            diagonal does not count.

    Returns:
        float64 (num_classes, num_classes), 0 on the diagonal and in rows and columns without a
        mistake. None where the sums leave no freedom to differ from them: two classes, mistakes in
        one row or column alone, or all from or to one class.

    Raises:
        ArithmeticError: The fit did not converge.

    Example:
        >>> expected_mistakes(np.array([[9, 2, 2], [2, 9, 2], [2, 2, 9]])).round(6)
        array([[0., 2., 2.],
               [2., 0., 2.],
               [2., 2., 0.]])

    References:
        L. A. Goodman, "The Analysis of Cross-Classified Data: Independence, Quasi-Independence,
        and Interactions in Contingency Tables with or without Missing Entries", JASA 63 (1968).
        https://doi.org/10.1080/01621459.1968.10480916
        Y. M. M. Bishop, S. E. Fienberg, P. W. Holland, "Discrete Multivariate Analysis" (1975),
        chapter 5.
    """
    mistakes = np.where(np.eye(len(matrix), dtype=bool), 0, matrix).astype(float)
    rows, columns = mistakes.sum(axis=1), mistakes.sum(axis=0)
    if not _has_freedom(rows, columns):
        return None
    attracts = columns
    for _ in range(_MOST_ROUNDS):
        # Without the diagonal, a row's sum is its factor times all the other columns' factors.
        errs = rows / (attracts.sum() - attracts)
        attracts = columns / (errs.sum() - errs)
        fitted = np.outer(errs, attracts)
        np.fill_diagonal(fitted, 0)
        left = rows - fitted.sum(axis=1)
        if np.abs(left).max() <= _TOLERANCE * rows.sum():
            return fitted
        attracts = attracts * np.exp(_newton_step(fitted, left))
    raise ArithmeticError(f"Quasi-independence did not fit in {_MOST_ROUNDS:,} rounds.")


def _newton_step(fitted: Array, left: Array) -> Array:
    """Return float64 (num_classes,): how the logarithms of the columns' factors should change.

    Proportional fitting alone needs as many rounds as there are mistakes where nearly all are from
    or to one class.

    Args:
        fitted: Expected counts whose columns already have their sums.
        left: What the rows' sums lack.
    """
    rows, columns = fitted.sum(axis=1), fitted.sum(axis=0)
    row_used, column_used = rows > 0, columns > 0
    cells = fitted[np.ix_(row_used, column_used)]
    # Rows solved for, columns remain; the last one is held, since the factors have no scale.
    shares = cells / rows[row_used, None]
    curvature = np.diag(columns[column_used]) - cells.T @ shares
    step = np.zeros(len(fitted))
    used = np.flatnonzero(column_used)[:-1]
    step[used] = np.linalg.solve(curvature[:-1, :-1], -(shares.T @ left[row_used])[:-1])
    return np.asarray(step / max(1.0, float(np.abs(step).max())))


def _has_freedom(rows: Array, columns: Array) -> bool:
    """Return whether other tables with these sums, and zeros on the diagonal, exist inside.

    Where all mistakes are from or to one class, the sums force every other cell to be zero; it is
    the only such case, because any two rows together reach every column.
    """
    cells = (rows > 0).sum() * (columns > 0).sum() - ((rows > 0) & (columns > 0)).sum()
    freedom = cells - ((rows > 0).sum() + (columns > 0).sum() - 1)
    return bool(freedom > 0 and (rows + columns < rows.sum()).all())


def judge_excess(matrix: Array, expected: Array) -> Array:
    """Test each kind of mistake for being more frequent than expected.

    One-sided and exact: the count against the binomial distribution of the mistakes of its true
    class with the expected share; by Holm for all cells that could occur (`expected > 0`), hence
    including those that did not. The share is fitted to these very counts, which draws it towards
    them: the test errs on the side of finding nothing.

    Args:
        matrix: int64 (num_classes, num_classes), true classes down.
        expected: What `expected_mistakes` returned for it.

    Returns:
        float64 (num_classes, num_classes), adjusted p-values; NaN where nothing was expected.

    Example:
        >>> matrix = np.array([[9, 8, 1], [1, 9, 1], [1, 1, 9]])
        >>> judge_excess(matrix, np.array([[0, 4.5, 4.5], [1, 0, 1], [1, 1, 0]])).round(3)
        array([[  nan, 0.117, 1.   ],
               [1.   ,   nan, 1.   ],
               [1.   , 1.   ,   nan]])
    """
    from scipy.stats import binom

    cells = np.nonzero(expected > 0)
    total = matrix.sum(axis=1) - np.diag(matrix)
    share = np.minimum(expected[cells] / total[cells[0]], 1)
    p_values = binom.sf(matrix[cells] - 1, total[cells[0]], share)
    adjusted = np.full(expected.shape, np.nan)
    adjusted[cells] = holm(p_values.tolist())
    return adjusted
