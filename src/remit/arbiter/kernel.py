"""How the arbiter compiles: ahead of use, cached, without the interpreter's lock, and without any reordering of floating-point sums."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.cgutils
import numba.extending

F = TypeVar("F", bound=Callable[..., Any])

# Numba's own types know neither all of its options nor what its intrinsics return.
njit: Any = numba.njit
cgutils: Any = numba.core.cgutils
intrinsic: Any = numba.extending.intrinsic


def kernel(function: F) -> F:
    """`function` compiled as part of the `entry` that calls it."""
    return cast(F, njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def part(function: F) -> F:
    """`function`, written into the one `kernel` or `entry` that calls it: what is compiled on several levels is optimised on each of them."""
    return cast(F, njit(nogil=True, error_model="numpy", inline="always", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def entry(function: F) -> F:
    """`function`, compiled on its first call from Python and cached beside its source, for as long as no source of this package changes.

    Numba itself looks at the one file that the function is in: a change in what it calls would leave the old machine code at work.
    """
    compiled = njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    compiled._cache._cache_file._source_stamp = _sources()  # noqa: SLF001  # numba offers no other way to say so
    return cast(F, compiled)


@lru_cache(1)
def _sources() -> str:
    """A digest of every source of this package."""
    return sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def _bare(_: Any, array: Any) -> Any:
    def view(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        copy = cgutils.create_struct_proxy(array)(context, builder, value=arguments[0])
        copy.meminfo = cgutils.get_null_value(copy.meminfo.type)
        copy.parent = cgutils.get_null_value(copy.parent.type)
        return copy._getvalue()  # noqa: SLF001  # numba's own name for it

    return array.copy(readonly=False)(array), view


bare: Callable[[Any], Any] = intrinsic(_bare)
"""In a kernel: the same array without its owner. Counting an owner's references is an atomic operation per call, which took over half of the time."""
