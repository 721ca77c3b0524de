"""Maximum drawdown of a growing curve from any bar on, without scanning the curve.

A balanced tree over blocks of the curve stores the high, the low and the largest fall of each
stretch. Two neighbouring stretches merge in constant time, so a query takes time logarithmic in
the history, and appending a bar takes almost none.
"""

import numpy as np

from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_tables import Floats

_BLOCK = 64
_HIGH, _LOW, _FALL = range(3)


@jit
def _add_blocks(curve: Floats, first: int, last: int, tree: Floats) -> None:
    """Write the leaves of the complete blocks ``first .. last-1`` and update their ancestors."""
    leaves = len(tree) // 2
    for block in range(first, last):
        high, low, fall = -np.inf, np.inf, 0.0
        for t in range(block * _BLOCK, (block + 1) * _BLOCK):
            high, low = max(high, curve[t]), min(low, curve[t])
            fall = max(fall, high - curve[t])
        node = leaves + block
        tree[node, _HIGH], tree[node, _LOW], tree[node, _FALL] = high, low, fall
        node //= 2
        while node > 0:
            left, right = 2 * node, 2 * node + 1
            tree[node, _HIGH] = max(tree[left, _HIGH], tree[right, _HIGH])
            tree[node, _LOW] = min(tree[left, _LOW], tree[right, _LOW])
            across = tree[left, _HIGH] - tree[right, _LOW]
            tree[node, _FALL] = max(tree[left, _FALL], tree[right, _FALL], across)
            node //= 2


@jit
def _fall_from(curve: Floats, start: int, blocks: int, tree: Floats) -> float:
    """Largest fall over ``curve[start:]``; the first ``blocks`` blocks are in the tree."""
    leaves = len(tree) // 2
    high, fall = -np.inf, 0.0
    t = start
    while t < len(curve):
        block = t // _BLOCK
        if t % _BLOCK == 0 and block < blocks:
            # The largest stretch of the tree that begins here.
            node, width = leaves + block, 1
            while node % 2 == 0 and block + 2 * width <= blocks:
                node //= 2
                width *= 2
            fall = max(fall, tree[node, _FALL], high - tree[node, _LOW])
            high = max(high, tree[node, _HIGH])
            t += width * _BLOCK
        else:
            high = max(high, curve[t])
            fall = max(fall, high - curve[t])
            t += 1
    return fall


class DrawdownTree:
    """Drawdown queries on a curve that only grows at its end."""

    def __init__(self) -> None:
        self._tree = _empty(64)
        self._blocks = 0

    def extend_to(self, curve: Floats) -> None:
        """Add the points of the curve, shape (n,), that are new since the last call."""
        blocks = len(curve) // _BLOCK
        leaves = len(self._tree) // 2
        if blocks > leaves:
            while leaves < blocks:
                leaves *= 2
            self._tree, self._blocks = _empty(leaves), 0
        if blocks > self._blocks:
            _add_blocks(curve, self._blocks, blocks, self._tree)
            self._blocks = blocks

    def drawdown_from(self, curve: Floats, start: int) -> float:
        """Largest fall from a running peak over ``curve[start:]``, 0 or more.

        The curve may end before the points that were added.
        """
        blocks = min(self._blocks, len(curve) // _BLOCK)
        return float(_fall_from(curve, start, blocks, self._tree))


def _empty(leaves: int) -> Floats:
    tree = np.zeros((2 * leaves, 3))
    tree[:, _HIGH], tree[:, _LOW] = -np.inf, np.inf
    return tree
