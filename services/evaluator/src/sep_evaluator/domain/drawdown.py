"""Largest fall of a growing curve from any bar on, without walking the curve.

A balanced tree over blocks of the curve keeps each stretch's highest and lowest point
and its largest fall; two neighbouring stretches merge in constant time, so a question
costs the logarithm of the history and a new bar next to nothing.
"""

import numpy as np

from sep_evaluator.domain.jit import jit
from sep_evaluator.domain.kernel_tables import Floats

_BLOCK = 64
_HIGH, _LOW, _FALL = range(3)


@jit
def _take_up(curve: Floats, first: int, last: int, tree: Floats) -> None:
    """Write the leaves of the whole blocks ``first .. last-1`` and what lies above them."""
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
    """Largest fall over ``curve[start:]``, of which ``blocks`` whole blocks are in the tree."""
    leaves = len(tree) // 2
    high, fall = -np.inf, 0.0
    t = start
    while t < len(curve):
        block = t // _BLOCK
        if t % _BLOCK == 0 and block < blocks:
            # The largest stretch that begins here and is wholly taken up.
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
    """Answers for a curve that only grows at its end."""

    def __init__(self) -> None:
        self._tree = _empty(64)
        self._blocks = 0

    def take_up(self, curve: Floats) -> None:
        """Take in what the curve (shape (n,)) grew by since the last call."""
        blocks = len(curve) // _BLOCK
        leaves = len(self._tree) // 2
        if blocks > leaves:
            while leaves < blocks:
                leaves *= 2
            self._tree, self._blocks = _empty(leaves), 0
        if blocks > self._blocks:
            _take_up(curve, self._blocks, blocks, self._tree)
            self._blocks = blocks

    def fall_from(self, curve: Floats, start: int) -> float:
        """Largest fall from a running peak over ``curve[start:]``, 0 or more."""
        return float(_fall_from(curve, start, self._blocks, self._tree))


def _empty(leaves: int) -> Floats:
    tree = np.zeros((2 * leaves, 3))
    tree[:, _HIGH], tree[:, _LOW] = -np.inf, np.inf
    return tree
