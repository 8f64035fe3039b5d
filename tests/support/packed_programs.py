"""Packed networks that no architecture makes: every node with any geometry that the format allows."""

import random

import numpy as np

from pipeline.export.packed import IMAGE, Kind, Node, PackedNetwork, Values


class _Program:
    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.channels, self.size = self.draw.choice((1, 2, 3, 4, 9)), self.draw.randint(5, 24)

    def reals(self, *shape: int) -> np.ndarray:
        return self.numbers.normal(0, 1, shape).astype(np.float32)

    def window(self, side: int) -> dict[str, int]:
        kernel = self.draw.randint(1, min(side, 7))
        return {"kernel": kernel, "stride": self.draw.randint(1, 3), "padding": self.draw.randint(0, kernel - 1)}

    def add(self, kind: Kind, sources: tuple[int, ...], channels: int, **more: object) -> int:
        self.nodes.append(Node(kind, sources, channels, **more))  # type: ignore[arg-type]
        return len(self.nodes) - 1

    def all_values(self) -> list[Values]:
        return PackedNetwork(tuple(self.nodes), self.channels, self.size, (), (), ()).values

    def given(self) -> Values:
        return self.all_values()[-1]

    def affine(self, source: int, values: Values) -> int:
        parameters = {"factor": self.reals(values.channels), "term": self.reals(values.channels)}
        if values.kind == "integers":
            parameters["scale"] = np.abs(self.reals(1)) / np.float32(values.most**0.5)
        return self.add(Kind.AFFINE, (source,), values.channels, parameters=parameters)

    def threshold(self, source: int, values: Values) -> int:
        count = values.channels
        if values.kind == "reals":
            limit = self.reals(count)
            limit[self.numbers.random(count) < 0.1] = self.draw.choice((-np.inf, np.inf, np.nan))
        else:
            spread = int(values.most**0.5) + 1
            limit = self.numbers.integers(-spread, spread + 1, count).astype(np.int32)
            limit[self.numbers.random(count) < 0.1] = self.draw.choice((-(2**31), 2**31 - 1))
        at_most = self.numbers.random(count) < 0.5
        at_most &= np.abs(limit.astype(np.float64)) < 2**30  # always and never are not turned
        return self.add(Kind.THRESHOLD, (source,), count, parameters={"threshold": limit, "at_most": at_most})


def random_program(seed: int, classes: int = 5) -> PackedNetwork:
    """Some nodes, one after another with sums across, of random kinds, widths, kernels, strides and padding."""
    program = _Program(seed)
    draw = program.draw
    here, values = IMAGE, None
    for _ in range(draw.randint(3, 12)):
        kind = values.kind if values else "reals"
        side = values.side if values else program.size
        width = values.channels if values else program.channels
        outputs = draw.choice((1, 3, 8, 16, 17, 32, 33, 40, 64, 96, 130, 200))
        if kind == "bits":
            window = program.window(side)
            ones = program.numbers.random((outputs, window["kernel"], window["kernel"], width)) < 0.5
            here = program.add(Kind.BINARY_CONVOLUTION, (here,), outputs, weights=ones, **window)
        elif kind == "integers":
            choice = draw.choice(("pool", "threshold", "threshold", "affine", "residual"))
            if choice == "pool":
                kernel = draw.randint(1, min(side, 4))
                beside = {"kernel": kernel, "stride": kernel, "padding": 0}
                window = beside if draw.random() < 0.7 else program.window(side)
                here = program.add(Kind.MAX_POOL, (here,), width, **window)
            elif choice == "threshold":
                here = program.threshold(here, values)
            else:
                here = program.affine(here, values)
                alike = Values("reals", width, side)
                fitting = [i for i, one in enumerate(program.all_values()[:-1]) if one == alike]
                if choice == "residual" and fitting:
                    pair = (here, draw.choice(fitting))
                    here = program.add(Kind.ADD, pair if draw.random() < 0.5 else pair[::-1], width)
        else:
            choice = draw.choice(("convolution", "binarise", "binarise", "threshold", "relu", "affine", "pool", "add"))
            if choice == "convolution":
                window = program.window(side)
                weights = program.reals(outputs, width, window["kernel"], window["kernel"])
                here = program.add(Kind.CONVOLUTION, (here,), outputs, weights=weights, **window)
            elif choice == "pool":
                here = program.add(Kind.MAX_POOL, (here,), width, **program.window(side))
            elif choice == "threshold" and values:
                here = program.threshold(here, values)
            elif choice == "affine" and values:
                here = program.affine(here, values)
            elif choice == "add":
                here = program.add(Kind.ADD, (here, here), width)
            elif choice == "relu":
                here = program.add(Kind.RELU, (here,), width)
            else:
                here = program.add(Kind.BINARISE, (here,), width)
        values = program.given()
    if values.kind == "bits":
        ones = program.numbers.random((9, 1, 1, values.channels)) < 0.5
        here = program.add(Kind.BINARY_CONVOLUTION, (here,), 9, kernel=1, stride=1, weights=ones)
        values = program.given()
    if values.kind == "integers":
        here = program.affine(here, values)
        values = program.given()
    if draw.random() < 0.3:
        here = program.add(Kind.AVERAGE_POOL, (here,), values.channels)
        values = program.given()
    program.add(
        Kind.LINEAR,
        (here,),
        classes,
        weights=program.reals(classes, values.elements),
        parameters={"bias": program.reals(classes)},
    )
    names = tuple("abcdefghij"[:classes])
    moments = (0.5,) * program.channels, (0.25,) * program.channels
    return PackedNetwork(tuple(program.nodes), program.channels, program.size, names, *moments)


def wide_convolutions(seed: int, classes: int = 5) -> PackedNetwork:
    """Two real convolutions of many outputs on large maps, of kernels of three or four times their stride, and a linear
    layer that sees each of their outputs: reals from the second one, or bits by a threshold.
    """
    program = _Program(seed)
    draw = program.draw
    program.channels, program.size = draw.choice((1, 3, 4)), draw.randint(36, 61)
    width = program.channels
    here = IMAGE
    for number in range(2):
        stride = draw.choice((1, 1, 2, 3) if number == 0 else (1, 1, 2))
        kernel = draw.randint(2 * stride + 1, 4 * stride)
        padding = draw.randint(0, kernel - 1)
        outputs = draw.choice((32, 33, 40, 70))
        weights = program.reals(outputs, width, kernel, kernel) / np.float32(kernel * width**0.5)
        window = {"kernel": kernel, "stride": stride, "padding": padding}
        here = program.add(Kind.CONVOLUTION, (here,), outputs, weights=weights, **window)
        width = outputs
        if number or draw.random() < 0.5:
            here = program.affine(here, program.given())
        else:
            here = program.add(Kind.RELU, (here,), outputs)
    if draw.random() < 0.5:
        here = program.threshold(
            program.add(
                Kind.CONVOLUTION,
                (here,),
                33,
                kernel=3,
                stride=1,
                padding=1,
                weights=program.reals(33, width, 3, 3) / np.float32(3 * width**0.5),
            ),
            program.given(),
        )
        ones = program.numbers.random((9, 1, 1, 33)) < 0.5
        here = program.add(Kind.BINARY_CONVOLUTION, (here,), 9, kernel=1, stride=1, weights=ones)
        here = program.affine(here, program.given())
    elements = program.given().elements
    program.add(
        Kind.LINEAR,
        (here,),
        classes,
        weights=program.reals(classes, elements),
        parameters={"bias": program.reals(classes)},
    )
    moments = (0.5,) * program.channels, (0.25,) * program.channels
    return PackedNetwork(tuple(program.nodes), program.channels, program.size, tuple("abcde"[:classes]), *moments)
