"""Calls every compiled function at random shapes with arrays of just the sizes that it may touch, and with nonsense.

    python -m tests.support.fuzz_kernels FOLDER_WITH_SOURCES SEED ROUNDS

A program of its own, without torch, so that it can run under the address sanitizer: whatever a function reads or writes
beside its arrays ends it. Prints how many calls there were.
"""

import ctypes
import sys
from pathlib import Path
from random import Random

import numpy as np

from pipeline.kernels import build
from pipeline.kernels.signatures import Parameter, signatures, statuses

NUMBERS = {"float32": np.float32, "bfloat16": np.uint16}


class Library:
    """The functions, with the names of their arguments."""

    def __init__(self, sources: Path) -> None:
        self._library = build.open_library(sources, signatures())
        for name, parameters in signatures().items():
            getattr(self._library, name).argtypes = [parameter.type for parameter in parameters]
        self.calls = 0

    def __call__(self, name: str, **values: object) -> str:
        """What a function returns, by name. Arrays are given as they are, None is no array."""
        self.calls += 1
        words = [_word(parameter, values[parameter.name]) for parameter in signatures()[name]]
        return statuses()[getattr(self._library, name)(*words)]


def _word(parameter: Parameter, value: object) -> object:
    if parameter.type is ctypes.c_void_p:
        return None if value is None else value.ctypes.data  # type: ignore[attr-defined]
    return value


class Arguments:
    """Arguments of a function that fit each other, of a random shape."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.made = np.random.default_rng(random.randrange(2**32))

    def sizes(self, *names: str) -> dict[str, int]:
        """Mostly small: what goes wrong goes wrong beside the widths of registers."""
        most = {"images": 3, "height": 9, "width": 9, "rows": 200, "count": 9000}
        return {name: self.random.randint(1, most.get(name, 70)) for name in names}

    def floats(self, kind: str, *shape: int) -> np.ndarray:
        """Numbers of a type, NaN and infinite ones among them."""
        values = self.made.standard_normal(shape).astype(np.float32) * 3
        values[self.made.random(shape) < 0.02] = self.random.choice([np.nan, np.inf, -np.inf, 0.5, 1e-40])
        return values if kind == "float32" else np.ascontiguousarray((values.view(np.uint32) >> 16).astype(np.uint16))

    def maybe(self, array: np.ndarray) -> np.ndarray | None:
        """The array, or none."""
        return array if self.random.random() < 0.7 else None

    def of(self, name: str) -> dict[str, object]:
        """For a function."""
        function, _, kind = name.rpartition("_")
        values: dict[str, object] = {"threads": self.random.randint(1, 3)}
        if name == "crop_images":
            values |= self.sizes("images", "channels") | {"side": self.random.randint(1, 12)}
            values |= {"count": self.random.randint(1, 6), "padding": self.random.randint(0, 5)}
            images, side, channels, count = (int(values[key]) for key in ("images", "side", "channels", "count"))  # type: ignore[call-overload]
            values["pixels"] = self.made.integers(0, 256, (images, side, side, channels), np.uint8)
            values["indices"] = self.made.integers(0, images, count)
            for axis in ("rows", "columns"):
                values[axis] = self.made.integers(-3, side + 13, (count, side))
            values["table"] = self.floats("float32", channels, 256)
            return values | {"out": np.empty((count, side, side, channels), np.float32)}
        number = NUMBERS[kind]
        if function.startswith("winograd"):
            values |= self.sizes("images", "height", "width", "inputs", "outputs")
            values["scale"] = np.full((), 0.5, np.float32)
            images, height, width, inputs, outputs = (
                int(values[key])  # type: ignore[call-overload]
                for key in ("images", "height", "width", "inputs", "outputs")
            )
            values["bits"] = self.made.integers(0, 2, (images, height, width, inputs), np.uint8)
            values["signs"] = (self.made.integers(0, 2, (outputs, 3, 3, inputs)) * 2 - 1).astype(np.int8)
            values["gradient"] = self.floats(kind, images, height, width, outputs)
            shape = {
                "winograd_forward": (images, height, width, outputs),
                "winograd_input_gradient": (images, height, width, inputs),
                "winograd_filter_gradient": (outputs, 3, 3, inputs),
            }[function]
            return values | {"out": np.empty(shape, np.float32 if "filter" in function else number)}
        if function == "binarise_weight":
            values |= self.sizes("count")
            count = int(values["count"])  # type: ignore[call-overload]
            values |= {"weight": self.floats("float32", count), "mean": np.empty((), np.float32)}
            signs, numbers = self.maybe(np.empty(count, np.int8)), self.maybe(np.empty(count, number))
            return values | {"signs": signs, "numbers": numbers}
        if function in ("binarise", "pass"):
            values |= self.sizes("rows", "channels")
            shape = int(values["rows"]), int(values["channels"])  # type: ignore[call-overload]
            values |= {"x": self.floats(kind, *shape), "gradient": self.floats(kind, *shape)}
            values |= {"bytes": self.maybe(np.empty(shape, np.uint8)), "numbers": self.maybe(np.empty(shape, number))}
            return values | {"out": self.random.choice([values["gradient"], np.empty(shape, number)])}
        pool = self.random.random() < 0.5
        values |= self.sizes("images", "height", "width", "channels")
        values |= {key: 2 * int(values[key]) for key in ("height", "width")}  # type: ignore[call-overload]
        images, height, width, channels = (
            int(values[key])  # type: ignore[call-overload]
            for key in ("images", "height", "width", "channels")
        )
        whole = images, height, width, channels
        shape = (images, height // 2, width // 2, channels) if pool else whole
        winners = self.made.integers(0, 4, shape, np.uint8) if pool else None
        if function == "backward":
            gradient = self.floats(kind, *shape)
            values |= {"gradient": gradient, "x": self.floats(kind, *shape), "winners": winners}
            values |= {name: np.empty(channels, np.float32) for name in ("of_gamma", "of_beta")}
            out = np.empty(whole, number) if pool or self.random.random() < 0.5 else gradient
            return values | {"moments": self.floats("float32", 4, channels), "out": out}
        values |= {"x": self.floats(kind, *whole), "pooled": np.empty(shape, number) if pool else None}
        values["winners"] = winners if self.random.random() < 0.8 else None
        values |= {name: self.floats("float32", channels) for name in ("gamma", "beta", "running_mean")}
        values |= {"running_variance": np.abs(self.floats("float32", channels)), "momentum": 0.1, "epsilon": 1e-5}
        values |= {"training": int(np.prod(shape[:3]) > 1 and self.random.random() < 0.7)}
        values |= {"bytes": self.maybe(np.empty(shape, np.uint8)), "numbers": self.maybe(np.empty(shape, number))}
        return values | {"moments": np.empty((4, channels), np.float32)}


#: Arrays that may be missing.
OPTIONAL = {"pooled", "winners", "bytes", "numbers", "signs"}
NONSENSE = (0, -1, -(2**63), 2**40, 2**62, 2**63 - 1)


def nonsense(library: Library, name: str, values: dict[str, object], random: Random) -> None:
    """Calls a function with one argument changed for the worse; it must say so."""
    parameter = random.choice(signatures()[name])
    if parameter.type is ctypes.c_void_p:
        if parameter.name in OPTIONAL and not (parameter.name == "signs" and name.startswith("winograd")):
            return
        wanted, value = "NO_ARRAY", None
    elif parameter.type is ctypes.c_int64 or parameter.name == "threads":
        wanted, value = "BAD_SIZE", random.choice(NONSENSE)
        if parameter.name == "padding":
            value = -1
        if parameter.name == "threads":
            value = random.choice((0, -1, -(2**31), 2**31 - 1))
    else:
        return
    status = library(name, **{**values, parameter.name: value})
    assert status == wanted, f"{name}: {parameter.name} = {value} gave {status}"


def main() -> None:
    """Calls all functions so many times."""
    sources, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    library, random = Library(sources), Random(seed)
    for _ in range(rounds):
        for name in signatures():
            values = Arguments(random).of(name)
            status = library(name, **values)
            assert status == "DONE", f"{name} gave {status}"
            nonsense(library, name, values, random)
    values = Arguments(random).of("crop_images")
    for index in (-1, values["images"], 2**62):
        indices = np.array(values["indices"])
        indices[-1] = index
        assert library("crop_images", **{**values, "indices": indices}) == "BAD_INDEX"
    for name in ("forward_float32", "backward_float32"):
        values = Arguments(random).of(name)
        odd = {"height": 3, "winners": np.zeros(10**4, np.uint8)}
        assert library(name, **{**values, **odd}) == "BAD_SIZE", "windows that do not fill the feature map"
    print(f"{library.calls} calls")


if __name__ == "__main__":
    main()
