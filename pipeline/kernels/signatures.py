"""The signatures of the compiled functions, read from the declarations in C++ themselves (``cpp/training/kernels.h``).

The compiler compares the definitions with the same declarations, so that C++ and Python cannot disagree. No torch.
"""

import ctypes
import re
from functools import cache
from typing import NamedTuple

from pipeline.kernels.build import SOURCES

#: Where the functions are declared.
HEADER = SOURCES / "kernels.h"

_TYPES = {"std::int64_t": ctypes.c_int64, "int": ctypes.c_int, "float": ctypes.c_float, "double": ctypes.c_double}
_DECLARED = re.compile(r"\bint (\w+)\(([^()]*)\);")
_FOR_TYPE = re.compile(r"#define DECLARE_KERNELS\(name, T\)(.*?[^\\])\n", re.DOTALL)
_MADE_FOR = re.compile(r"^DECLARE_KERNELS\((\w+), [\w:]+\)", re.MULTILINE)
_STATUS = re.compile(r"\b([A-Z_]+) = (\d+)")


class Parameter(NamedTuple):
    """One argument: its name and its type for ctypes, a plain address for every array."""

    name: str
    type: type


@cache
def signatures() -> dict[str, tuple[Parameter, ...]]:
    """Returns the parameters of every function, by its name.

    Raises:
        ValueError: a declaration has a type that is not known here.
    """
    text = HEADER.read_text(encoding="utf-8")
    found = {}
    for_type = _FOR_TYPE.search(text)
    if for_type is None:
        raise ValueError(f"{HEADER} declares no functions of each type of numbers")
    for kind in _MADE_FOR.findall(text):
        found.update(_declared(for_type[1].replace("\\\n", " ").replace("##name", kind)))
    found.update(_declared(_FOR_TYPE.sub("", text)))
    return found


def _declared(text: str) -> dict[str, tuple[Parameter, ...]]:
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    return {name: tuple(map(_parameter, words.split(","))) for name, words in _DECLARED.findall(text)}


def _parameter(words: str) -> Parameter:
    kind, name = re.fullmatch(r"\s*(.*?[\s*])(\w+)\s*", words, re.DOTALL).groups()  # type: ignore[union-attr]
    kind = " ".join(kind.split())
    if kind.endswith("*"):
        return Parameter(name, ctypes.c_void_p)
    if kind not in _TYPES:
        raise ValueError(f"{HEADER}: type '{kind}' of {name} is not known")
    return Parameter(name, _TYPES[kind])


@cache
def statuses() -> dict[int, str]:
    """Returns the names of what a function can return."""
    return {int(number): name for name, number in _STATUS.findall(HEADER.read_text(encoding="utf-8"))}
