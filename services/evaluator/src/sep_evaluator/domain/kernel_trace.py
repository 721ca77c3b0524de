"""One word's trajectory in vector instructions, which numba does not generate by itself.

Per byte of the word: one vector from the table, scaled by one vector of decays, and one
multiply-add for all products of the state so far with the byte's contribution. Scalar code
with the same arithmetic takes three look-ups and twelve operations.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

_types: Any = import_module("numba").types
_intrinsic: Any = import_module("numba.extending").intrinsic
_ir: Any = import_module("llvmlite.ir")

_BYTES = 8
_VECTOR = _ir.VectorType(_ir.DoubleType(), 4)
_CONTRACT = ("contract",)  # a * b + c may round once; the order of operations stands


def _trace(_typing: Any, word: Any, row: Any, decay: Any, byte_sums: Any) -> Any:
    del word, row  # their types are always uint64
    signature = _types.UniTuple(_types.float64, 3)(_types.uint64, _types.uint64, decay, byte_sums)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, row, *arrays = args
        decays, sums = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[2:], arrays, strict=True)
        )

        sums = builder.gep(sums, [builder.shl(row, _integer(10))])
        decays = builder.gep(decays, [builder.shl(row, _integer(5))])

        def vector(base: Any, offset: Any) -> Any:
            place = builder.gep(base, [offset])
            loaded = builder.load(builder.bitcast(place, _VECTOR.as_pointer()))
            loaded.align = 8
            return loaded

        def entry(byte: int) -> Any:
            # One shift both selects the byte and multiplies it by the four doubles of an entry.
            shift = 8 * byte - 2
            moved = builder.lshr(word, _integer(shift)) if byte else builder.shl(word, _integer(2))
            return vector(sums, builder.and_(moved, _integer(0xFF << 2)))

        # The first byte starts from zero and has no decay.
        so_far = entry(0)  # level, its points' sum, their sum of squares, 1
        products = _ir.Constant(_VECTOR, [0.0] * 4)
        for byte in range(1, _BYTES):
            added = builder.fmul(entry(byte), vector(decays, _integer(4 * byte)))
            level = builder.shuffle_vector(so_far, so_far, _lanes(0, 0, 0, 0))
            # level * (level, the byte's sum, unused, 1)
            factors = builder.shuffle_vector(so_far, added, _lanes(0, 5, 2, 7))
            product = builder.fmul(level, factors, flags=_CONTRACT)
            products = builder.fadd(products, product, flags=_CONTRACT)
            so_far = builder.fadd(so_far, added)

        def lane(of: Any, index: int) -> Any:
            return builder.extract_element(of, _ir.Constant(_ir.IntType(32), index))

        # Over a byte's eight points: sum (level + p) = 8 level + sum p, and likewise squared.
        eight, two = (_ir.Constant(_ir.DoubleType(), x) for x in (8.0, 2.0))
        total = builder.fadd(builder.fmul(lane(products, 3), eight), lane(so_far, 1))
        crossed = builder.fadd(builder.fmul(lane(products, 1), two), lane(so_far, 2))
        squares = builder.fadd(builder.fmul(lane(products, 0), eight), crossed)
        figures = [total, squares, lane(so_far, 0)]
        return context.make_tuple(builder, signature.return_type, figures)

    return signature, generate


def _integer(value: int) -> Any:
    return _ir.Constant(_ir.IntType(64), value)


def _lanes(*lanes: int) -> Any:
    return _ir.Constant(_ir.VectorType(_ir.IntType(32), 4), list(lanes))


# trace(word, row, decay, byte_sums) -> (sum, sum of squares, end) of the partial sums of
# bit[j] * exp(-d * j) over the 64 bits of a word whose oldest, lowest bit is 0; word and row
# are uint64, the arrays those of KernelTables.
trace: Callable[[Any, Any, Any, Any], tuple[float, float, float]] = _intrinsic(_trace)
