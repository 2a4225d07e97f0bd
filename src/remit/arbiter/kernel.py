"""How the arbiter compiles: ahead of use, cached, without the interpreter's lock, and without any reordering of floating-point sums."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit  # type: ignore[import-untyped]  # numba ships no types

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """`function` compiled as part of the `entry` that calls it."""
    return cast(F, njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def part(function: F) -> F:
    """`function`, written into the `kernel` or `entry` that calls it: for small steps of hot loops, where a call would cost more than the step."""
    return cast(F, njit(nogil=True, error_model="numpy", inline="always", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


def entry(function: F) -> F:
    """`function`, compiled on its first call from Python and cached beside its source."""
    return cast(F, njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function))
