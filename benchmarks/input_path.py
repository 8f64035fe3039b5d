"""Images/s of training batches: this project's JPEG path against torchvision's ImageFolder and DataLoader.

    python -m benchmarks.input_path --images FOLDER

FOLDER holds train/CLASS/* and val/CLASS/*. Both paths make the same batches (random resized crop, mirrored by chance,
normalised, float32) from the same images with as many workers. Rounds of both take turns in one run; a round has its
start of workers in it. Files are read once before the clock starts, so this measures decoding, not the disk.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from pipeline.__main__ import main as pipeline
from pipeline.data.loading import load_images
from pipeline.data.prepared import ImagesInfo, read_info
from pipeline.training.execution import describe_machine

Batches = Iterator[tuple[Tensor, Tensor]]


def main() -> None:
    """Prepares the folder, measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--workers", type=int, default=2, help="of either path")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="side of the crops")
    parser.add_argument("--round", type=int, default=3200, help="images in a round")
    parser.add_argument("--rounds", type=int, default=5, help="of either path")
    arguments = parser.parse_args()
    if not all((arguments.images / part).is_dir() for part in ("train", "val")):
        parser.error(f"{arguments.images} has no folders train and val")
    torch.set_num_threads(1)  # the workers need the cores
    with tempfile.TemporaryDirectory() as folder:
        train, test = Path(folder) / "train.h5", Path(folder) / "test.h5"
        words = f"prepare-dataset --dataset image_folder --storage jpeg --image-size {arguments.size}".split()
        words += ["--path", str(arguments.images), "--train", str(train), "--test", str(test)]
        if pipeline(words):
            raise SystemExit(1)
        info = read_info(train)
        plan = _plan(info.count, arguments.round, arguments.batch_size)
        source = load_images(train, "cpu", workers=arguments.workers)
        paths: dict[str, Callable[[], Batches]] = {
            "torchvision": lambda: _torchvision(arguments.images / "train", info, plan, arguments.workers),
            "pipeline": lambda: source.batches(plan, "resized-crop-flip", ("benchmark",)),
        }
        rates = _measure(paths, arguments.rounds, sum(map(len, plan)))
    _report(rates, f"{describe_machine('cpu')}, {arguments.workers} workers, torch {torch.__version__}")


def _plan(images: int, round_size: int, batch_size: int) -> list[Tensor]:
    """Batches of image numbers; a small folder is gone through several times."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(images, generator=generator) for _ in range(-(-round_size // images))]
    return list(torch.cat(orders)[:round_size].split(batch_size))  # type: ignore[no-untyped-call]


def _torchvision(folder: Path, info: ImagesInfo, plan: list[Tensor], workers: int) -> Batches:
    """What most training scripts do."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(info.size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(info.mean, info.std),
        ]
    )
    images = Subset(ImageFolder(str(folder), transform), torch.cat(plan).tolist())
    return iter(DataLoader(images, batch_size=len(plan[0]), num_workers=workers))


def _measure(paths: dict[str, Callable[[], Batches]], rounds: int, images: int) -> dict[str, list[float]]:
    """Images/s of each path in each round; a first round of each is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds + 1):
        for name, batches in paths.items():
            start = time.perf_counter()
            seen = sum(len(x) for x, _ in batches())
            assert seen == images
            if number:
                rates[name].append(images / (time.perf_counter() - start))
    return rates


def _report(rates: dict[str, list[float]], machine: str) -> None:
    base = statistics.median(rates["torchvision"])
    print(f"{machine}\n\n| path | images/s, median | lowest to highest | ratio |\n| --- | --- | --- | --- |")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.0f} | {min(values):.0f} to {max(values):.0f} | {median / base:.2f} |")


if __name__ == "__main__":
    main()
