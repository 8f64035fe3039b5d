"""Images in, probabilities out: a trained network or a packed one, from a file.

    classify = load_classifier(Path("results/digits/retrain/found-A/seed_0/weights.h5"))
    classify.probabilities([Path("photo.jpg"), pixels])        # (2, classes)
    classify.classes

An image is a file of any kind, or an array of bytes (height, width, channels). Before the network sees it, it is
treated as the test images were (:mod:`pipeline.data.preprocessing`).
"""

import glob
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.common.errors import UserError
from pipeline.common.log import log
from pipeline.data.datasets.sources import DamagedImageError
from pipeline.data.preprocessing import Preprocessing, picture_of, read_picture
from pipeline.export import packed
from pipeline.export.engines import packed_engine
from pipeline.export.trained import TrainedNetwork, is_hdf5, read_trained

#: A file, or bytes (H, W), (H, W, 1) or (H, W, 3), of which the three are red, green and blue.
Source = str | Path | np.ndarray
#: Several of them; an array has one along its first axis.
Sources = Sequence[Source] | np.ndarray
#: What computes: torch as in evaluation, the compiled runtime, or plain numpy; auto takes the first that can be had.
Engine = Literal["auto", "torch", "runtime", "numpy"]
#: Images that are computed at a time: as many as evaluation does.
_BATCH = 500
#: Most channels of an image that somebody may give: three and transparency.
_COLOURS = 4


@dataclass(frozen=True)
class Answer:
    """The answer of a network to one image.

    Attributes:
        probabilities: (classes,) float64, which add up to 1; None where the image could not be read.
        problem: why it could not be read; else nothing.
    """

    probabilities: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True)
class Classifier:
    """A network with all that it needs to answer.

    Attributes:
        classes: their names, in the order of the probabilities.
        preprocessing: how an image becomes what the network sees.
        engine: what computes.
        logits: (N, size, size, channels) bytes → (N, classes) float32.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    engine: str
    logits: Callable[[np.ndarray], np.ndarray]

    def probabilities(self, images: Sources) -> np.ndarray:
        """Returns (N, classes) float64 of files or arrays.

        Raises:
            UserError: an image cannot be read, is neither a file nor an array, or this is one image and no list of
                them.
        """
        _check_several(images, self.preprocessing.channels)
        found = []
        for image, answer in zip(images, self.answers(images), strict=True):
            if answer.probabilities is None:
                name = "an array" if isinstance(image, np.ndarray) else image
                raise UserError(f"{name} cannot be read as an image ({answer.problem})", "name another one")
            found.append(answer.probabilities)
        return np.array(found).reshape(len(found), len(self.classes))

    def answers(self, images: Sources, threads: int = 1) -> Iterator[Answer]:
        """Yields an answer for each image, in order; an image that cannot be read stops nothing.

        Args:
            images: files or arrays.
            threads: images that are decoded at a time.

        Raises:
            UserError: an array is no image, an image neither a file nor an array, or this is one image and no list of
                them.
        """
        _check_several(images, self.preprocessing.channels)
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(images), _BATCH):
                read = list(pool.map(self._read, images[start : start + _BATCH]))
                pixels = [image for image in read if isinstance(image, np.ndarray)]
                logits = iter(_softmax(self.logits(np.stack(pixels))) if pixels else ())
                for image in read:
                    yield Answer(next(logits)) if isinstance(image, np.ndarray) else Answer(None, image)

    def _read(self, image: Source) -> np.ndarray | str:
        if not isinstance(image, (str, Path, np.ndarray)):
            raise UserError(
                f"an image of type {type(image).__name__} is neither a file nor an array",
                "give its path, or bytes (height, width, 3) such as numpy.asarray(image.convert('RGB'))",
            )
        try:
            picture = picture_of(image) if isinstance(image, np.ndarray) else read_picture(Path(image))
            return self.preprocessing.pixels(picture)
        except DamagedImageError as error:
            return str(error)


def _check_several(images: Sources, channels: int) -> None:
    """Raises UserError for one image: its rows, its colours or the letters of its name would be taken for images.

    Args:
        images: that somebody has given.
        channels: of the images that the network knows. For one that knows colours, three greys are an image whose
            colours come first, as torch has them; whoever means three grey images gives a list.
    """
    if isinstance(images, np.ndarray) and (images.ndim < 3 or (images.ndim == 3 and images.shape[2] <= _COLOURS)):
        raise UserError(f"an array of shape {images.shape} is one image", "give a list of images: [pixels]")
    if isinstance(images, np.ndarray) and channels > 1 and images.ndim == 3 and images.shape[0] == channels:
        raise UserError(
            f"an array of shape {images.shape} may be one image, its colours first",
            "give [pixels.transpose(1, 2, 0)] for that, or list(images) for several grey images",
        )
    if isinstance(images, (str, Path)):
        raise UserError(f"{images} is one image", "give a list of images: [path]")
    if isinstance(images, bytes) or not isinstance(images, (Sequence, np.ndarray)):
        raise UserError(f"images of type {type(images).__name__} are no list", "give a list: [image], or list(images)")


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities (N, classes) of logits.

    >>> _softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    powers = np.exp(np.asarray(logits, np.float64) - logits.max(1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(1, keepdims=True)
    return probabilities


def load_classifier(
    file: Path | str, engine: Engine = "auto", *, images: Path | str | None = None, threads: int = 1
) -> Classifier:
    """Reads a network from a file of weights or a packed file.

    Args:
        file: ``weights.h5`` or a packed network; of a row of an experiment, what
            ``pipeline.workflow.rows.find_network`` gives.
        engine: what computes, in float32. 'auto' is the compiled runtime; where the network has a binariser that this
            does not know, torch.
        images: see :func:`pipeline.export.trained.read_trained`.
        threads: of the computation.

    Raises:
        UserError: the file cannot be used, or not by this engine.
    """
    file, images = Path(file), None if images is None else Path(images)
    try:
        of_weights = is_hdf5(file)
    except UserError:
        if near := _weights_of(file):
            remedy = f"name one, such as {near[0]}; pipeline.workflow.rows.find_network gives that of a row"
            raise UserError(f"{file} is no file that can be read", remedy) from None
        raise
    if not of_weights:
        return _of_packed(file, file.read_bytes(), engine, threads)
    from pipeline.export.packing import can_pack, pack

    trained = read_trained(file, images)
    if engine == "torch" or (engine == "auto" and not can_pack(trained.network.spec)):
        return _of_torch(trained, threads)
    return _of_packed(file, pack(trained.network, trained.about), engine, threads)


def _weights_of(row: Path) -> list[Path]:
    """Returns files of weights that somebody may mean by a row's name or by a folder, those of the first seed first.

    Where results lie is the workflow's to know. This looks around for HDF5 files of one name, such as a row has one of
    for each seed; an experiment's folder has several kinds, and none is named.
    """
    below = [found for pattern in ("*.h5", "*/*.h5") for found in row.glob(pattern)]
    beside = row.parent.glob(f"*/{glob.escape(row.name)}/*/*.h5") if row.name else ()
    found = sorted({*below, *beside}, key=lambda path: (len(path.parts), len(str(path)), str(path)))
    return found if len({path.name for path in found}) == 1 else []


def _of_packed(file: Path, data: bytes, engine: Engine, threads: int) -> Classifier:
    if engine == "torch":
        raise UserError(f"{file} is a packed network, which torch does not run", "choose the engine 'runtime'")
    network = packed.read(data, str(file))
    compute = packed_engine(network, engine, threads)
    try:
        how = Preprocessing.from_record(network.information.get("preparation", {}))
    except UserError as error:
        raise UserError(f"{file} cannot be used: {error}") from None
    if (how.channels, how.size) != (network.channels, network.size):
        raise UserError(f"{file} contradicts itself: its preparation is for other images", "export it again")

    def logits(pixels: np.ndarray) -> np.ndarray:
        # Photographs are normalised by an expression of their own, which rounds otherwise than the runtime's.
        return compute.logits(pixels if how.storage == "pixels" else how.normalised(pixels).numpy())

    return Classifier(network.classes, how, compute.name, logits)


def _of_torch(trained: TrainedNetwork, threads: int) -> Classifier:
    import torch

    from pipeline.kernels import library
    from pipeline.kernels.build import CompilationError

    torch.set_num_threads(threads)
    try:
        library.load()
    except CompilationError as error:
        log(f"note: torch's own operators compute, since {error}")
    network = trained.network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def logits(pixels: np.ndarray) -> np.ndarray:
        answer: torch.Tensor = network(trained.preprocessing.normalised(pixels))
        return answer.numpy()

    return Classifier(trained.classes, trained.preprocessing, "torch", logits)
