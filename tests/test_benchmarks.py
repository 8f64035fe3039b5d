"""Every benchmark runs; what it says of so short a run means nothing."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from benchmarks import candidates, inference, rows
from benchmarks.trainings import Trainings
from pipeline.common.files import write_csv, write_json
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.report.rows import Measurement
from pipeline.search.costs import Counting
from pipeline.search.tables import POPULATION, columns_for, population_row
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import save_config
from tests.support.measured import sample_line, write_experiment
from tests.support.workflow import ROOT


def uniform_1x() -> NetworkSpec:
    return NetworkSpec("vgg_small", uniform_genome("vgg_small", 1))


PROGRAMS = (
    "training",
    "ablation",
    "overhead",
    "products",
    "generation",
    "growth",
    "exactness",
    "ties",
    "seeds",
    "proxy",
    "search",
    "search_settings",
    "choosing",
    "early_stopping",
    "judges",
    "inference",
)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_it_prints_its_table(program):
    words = [sys.executable, "-m", *f"benchmarks.{program} --quick".split()]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "| --- |" in done.stdout


@pytest.fixture
def images(tmp_path):
    """A ZIP of few photographs in the folders that the program for a GPU expects."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for part, count in (("train", 40), ("test", 4)):
            for name in ("cat", "dog", "frog"):
                for number in range(count):
                    pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
                    whole = io.BytesIO()
                    Image.fromarray(pixels).save(whole, "JPEG")
                    archive.writestr(f"{part}/{name}/{number}.jpg", whole.getvalue())
    return tmp_path / "images.zip"


@pytest.mark.slow
def test_all_that_a_gpu_is_asked_for_runs_to_its_end_on_the_cpu(images, tmp_path):
    words = ["bash", ROOT / "benchmarks" / "on_gpu.sh", images, tmp_path / "out", "--device", "cpu", "--quick"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| images/s |" in (tmp_path / "out" / "gpu.md").read_text()
    text = (tmp_path / "out" / "cifar10.md").read_text()
    assert all(f"| {row} | 1 | " in text for row in ("uniform-1x", "VGG-Auto-A", "first-layer"))
    epochs = (tmp_path / "out" / "epochs.csv").read_text().splitlines()
    assert len(epochs) == 1 + 3 * 2 and epochs[-1].startswith("first-layer,0,2,")
    assert "120 train and 12 test images, 2 epochs, the paper's schedule scaled to them" in text


@pytest.mark.slow
def test_recipes_are_compared_on_real_images(images, tmp_path):
    words = [sys.executable, "-m", "benchmarks.recipes", "--images", images, "--output", tmp_path / "out"]
    words += ["--device", "cpu", "--width", 0.0625, "--epochs", 3, "--seeds", 2]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "recipes.md").read_text()
    rows = ("full precision", "paper", "cosine", "adam", "no-decay", "two-stages", "taught", "staged-taught", "all")
    assert all(f"| {row} | 2 | " in text for row in rows)
    assert text.count("points") == 7, "each beside the usual one"
    epochs = (tmp_path / "out" / "recipes.csv").read_text().splitlines()
    assert len(epochs) == 1 + 9 * 2 * 3
    curves = {tuple(line.split(",")[4:]) for line in epochs if line.split(",")[1:3] == ["0", "3"]}
    assert len(curves) == 9, "no two recipes are one"
    assert called("recipes", "--output", tmp_path / "out").strip() == text.strip()
    done = subprocess.run([*map(str, words), "--seconds", "0"], capture_output=True, text=True, cwd=ROOT)
    assert "has all of these trainings" in done.stderr and done.stdout.strip() == text.strip(), (
        "nothing is trained twice"
    )


@pytest.mark.slow
def test_a_teacher_is_trained_where_somebody_learns_from_it_and_what_it_scored_stays(images, tmp_path):
    def trained(*rows):
        words = [sys.executable, "-m", "benchmarks.recipes", "--images", images, "--output", tmp_path / "out"]
        words += ["--device", "cpu", "--width", 0.0625, "--epochs", 3, "--seeds", 1, "--rows", *rows]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return Trainings(tmp_path / "out" / "trainings.npz").found, done.stderr

    first, told = trained("cosine")
    assert "training 1 teacher" in told
    more, told = trained("cosine", "no-decay")
    assert "training 0 teachers" in told and list(more) == ["full precision", "cosine", "no-decay"]
    taught, told = trained("taught")
    assert "training 1 teacher" in told and list(taught) == [*more, "taught"]
    assert len({found["full precision"][0].seconds for found in (first, more, taught)}) == 1


def called(program: str, *words: object) -> str:
    """Returns what a benchmark prints."""
    words = (sys.executable, "-m", f"benchmarks.{program}", *words)
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_no_seed_is_begun_for_which_no_time_is_left(images, tmp_path):
    words = ("--device", "cpu", "--width", 0.0625, "--epochs", 3, "--seeds", 3, "--rows", "cosine", "--seconds", 0)
    assert "| cosine | 1 | " in called("recipes", "--images", images, "--output", tmp_path, *words)


@pytest.mark.slow
def test_other_rows_are_trained_at_other_widths(images, tmp_path):
    rows = ("--rows", "first-layer", "mine=2,1,1,1,1,0.5", "full-precision", "--width", 0.0625)
    words = ("--device", "cpu", *rows, "--epochs", 2, "--schedule", "cosine", "--seeds", 2)
    text = called("cifar10_gpu", "--images", images, "--output", tmp_path, *words)
    assert "base width 0.0625, 120 train and 12 test images, 2 epochs, half a cosine" in text
    assert "| first-layer | 2 | " in text and "| mine | 2 | " in text and text.count("points") == 2
    rates = {line.split(",")[3] for line in (tmp_path / "epochs.csv").read_text().splitlines()[1:]}
    assert rates == {"0.1", "0.05"}, "those of half a cosine"


@pytest.mark.slow
def test_a_table_of_trainings_goes_on_from_what_it_has(images, tmp_path):
    """More rows and seeds in the same folder are those of one go; its table needs no images."""

    def trained(folder, *words):
        common = ("--device", "cpu", "--width", 0.0625, "--schedule", "cosine")
        called("cifar10_gpu", "--images", images, "--output", tmp_path / folder, *common, *words)
        return Trainings(tmp_path / folder / "trainings.npz").found

    rows = ("--rows", "uniform-1x", "first-layer")
    trained("parts", "--epochs", 2, "--seeds", 1, "--rows", "uniform-1x")
    before = (tmp_path / "parts" / "trainings.npz").read_bytes()
    parts = trained("parts", "--epochs", 3, "--seeds", 2, *rows)  # of two epochs, as those that are there
    whole = trained("whole", "--epochs", 2, "--seeds", 2, *rows)
    assert before != (tmp_path / "parts" / "trainings.npz").read_bytes()
    assert list(parts) == list(whole) and all(list(parts[row]) == list(whole[row]) == [0, 1] for row in whole)
    for row in whole:
        for seed in whole[row]:
            assert parts[row][seed].epochs == whole[row][seed].epochs and len(whole[row][seed].epochs) == 2
            assert (parts[row][seed].right == whole[row][seed].right).all()
    text = called("cifar10_gpu", "--output", tmp_path / "parts")
    assert text.strip() == (tmp_path / "parts" / "cifar10.md").read_text().strip()
    assert "| beside first-layer |" in called("cifar10_gpu", "--output", tmp_path / "parts", "--beside", "first-layer")
    other = [sys.executable, "-m", "benchmarks.cifar10_gpu", "--images", images, "--output", tmp_path / "parts"]
    other += ["--device", "cpu", "--width", "0.125", "--rows", "first-layer=1,1,1,1,1,1", "--seeds", "3"]
    done = subprocess.run(list(map(str, other)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (
        "base width: 0.0625, not 0.125" in done.stderr and "first-layer: 0.5,1,1,1,1,1, not 1,1,1,1,1,1" in done.stderr
    )
    other[-3:] = ["uniform-1x", "--seeds", "1"]  # of which nothing lacks, but for the width
    done = subprocess.run(list(map(str, other)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and "base width: 0.0625, not 0.125" in done.stderr
    nothing = subprocess.run([*map(str, other[:3]), "--output", "nowhere"], capture_output=True, text=True, cwd=ROOT)
    assert nothing.returncode == 2 and "name the --images" in nothing.stderr


@pytest.mark.slow
def test_sharing_is_measured_alone():
    words = ("--sharing", "--genomes", "0.5,1,1,1,1,1", "--width", 0.03125, "--processes", 2, "--seconds", 0.01)
    text = called("gpu", "--device", "cpu", *words, "--images", 100, "--batch-size", 8)
    assert "base width 0.03125, batch 8" in text and "seconds an epoch" not in text
    lines = [line for line in text.splitlines() if line.startswith("| 0.5,1,1,1,1,1 | ")]
    assert len(lines) == 5 and "2 processes" in lines[-1]


def test_any_rows_of_an_experiment_are_set_beside_one(tmp_path, monkeypatch, capsys):
    right = {"uniform-1x": (0.5, 0.52), "better": (0.9, 0.92)}
    monkeypatch.setattr(
        rows,
        "read_measurement",
        lambda row, seed, _: Measurement(
            row, seed, 100 * right[row][seed], None, uniform_1x(), np.arange(1000) < 1000 * right[row][seed], 1000
        ),
    )
    for row in right:
        for seed in range(2):
            (tmp_path / "evaluation" / row).mkdir(parents=True, exist_ok=True)
            (tmp_path / "evaluation" / row / f"seed_{seed}.json").touch()
    monkeypatch.setattr("sys.argv", ["rows", str(tmp_path), "uniform-1x", "better"])
    rows.main()
    base, line = capsys.readouterr().out.splitlines()[2:]
    assert base.startswith("| uniform-1x | 1,1,1,1,1,1 | 2 | 51.00 ± 1.41 |  |")
    assert line.startswith("| better | 1,1,1,1,1,1 | 2 | 91.00 ± 1.41 | better by 40.0 points (")
    monkeypatch.setattr("sys.argv", ["rows", str(tmp_path), "uniform-1x", "none"])
    with pytest.raises(SystemExit, match="no scores of a row 'none'"):
        rows.main()


def test_rows_have_the_trainings_that_their_experiment_asks_for(tmp_path, monkeypatch):
    """What lies there of seeds before, which may be of other settings, is none of them."""
    monkeypatch.chdir(tmp_path)
    layout = Layout.of("mine")
    write_experiment(layout.folder)
    config = {**read_config([ROOT / "config.yaml"]), "experiment": "mine"}
    config["models"] = {"uniform-1x": {"genome": 1}}
    save_config({**config, "retrain": {**config["retrain"], "seeds": 2}}, layout)
    assert [one.seed for one in rows.measurements(layout.folder, "uniform-1x")] == [0, 1]
    save_config({**config, "retrain": {**config["retrain"], "seeds": 1}}, layout)
    assert [one.seed for one in rows.measurements(layout.folder, "uniform-1x")] == [0]
    assert len(rows.measurements(layout.folder, "uniform_2x")) == 2, "a row that is not asked for any more"
    file = layout.measurement("uniform-1x", 0)
    write_json(file, {**json.loads(file.read_text()), "training": {"settings": {"epochs": 3}}})
    with pytest.raises(SystemExit, match="seed 0 of row 'uniform-1x' was trained otherwise than now \\(epochs 3 in"):
        rows.measurements(layout.folder, "uniform-1x")


@pytest.mark.parametrize("cost", ["flops", "memory"])
def test_a_sample_has_the_cost_that_its_experiment_weighs(tmp_path, cost):
    layout, genomes = Layout(tmp_path), [(0.5,) * 6, (2.0,) * 6]
    counting = Counting(cost)
    rows_of = [population_row(i, uniform_1x().with_genome(one), "sample", counting) for i, one in enumerate(genomes)]
    write_csv(layout.sample.population, columns_for(POPULATION, cost), rows_of)
    lines = [sample_line(i, one, 80.0 + i) for i, one in enumerate(genomes)]
    write_csv(layout.sample.trained(0), tuple(lines[0]), lines)
    sampled = candidates._sampled(layout, {"search": {"ratios": [0.5, 2], "cost": cost}, "proxy": {"trainings": 1}})
    expected = [counting.relative(uniform_1x().with_genome(genome)) for genome in genomes]
    assert sampled.genomes == genomes and sampled._costs.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("burst", [1, 3])
def test_a_burst_is_timed_by_the_mean_of_its_calls(monkeypatch, capsys, burst):
    calls: list[str] = []
    monkeypatch.setattr(inference, "_ways", lambda *_: {"packed": lambda: calls.append("call")})
    monkeypatch.setattr(inference.time, "process_time", lambda: float(len(calls)))  # a call takes a second
    monkeypatch.setattr("sys.argv", ["inference", "--quick", "--burst", str(burst)])
    inference.main()
    assert len(calls) == (2 + 1) * burst
    assert "| 1 | 1 | packed | 1000 | 1.00 | 1.00 |" in capsys.readouterr().out
