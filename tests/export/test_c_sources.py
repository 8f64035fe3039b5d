"""The exported C sources: they build without warnings and answer as prediction does, here and on an ARM processor."""

import csv
import ctypes
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.data.augmentation import centre_box
from pipeline.data.datasets.decoding import decode
from pipeline.data.photographs import centre
from pipeline.data.preprocessing import fitted
from pipeline.export.classifier import load_classifier
from pipeline.kernels.build import CLASSIFY
from tests.support.exported import export_digits, sentence, train_digits
from tests.support.workflow import ROOT

#: C and C++.
_HERE, _ARM = ("cc", "c++"), ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++")


@pytest.fixture(scope="module")
def digits(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A row of an experiment on digits, exported to c/ beside its test images in test/ and PPMs of them in ppm/."""
    home = tmp_path_factory.mktemp("c") / "results" / "digits"
    train_digits(prepared, home, seeds=1)
    export_digits(prepared / "test.h5", home.parent / "test")
    assert main(["export", str(home / "uniform-1x"), "--format", "c", "--output", str(home.parent / "c")]) == 0
    return home


def build(folder: Path, compilers: tuple[str, str] = _HERE, *more: str) -> Path:
    """Builds by the command that the folder's README.txt names, with warnings as errors."""
    for compiler in compilers:
        if not shutil.which(compiler):
            pytest.skip(f"there is no {compiler}")
    (command,) = re.findall(r"^ +cc (.*) && c\+\+ (.*)$", (folder / "README.txt").read_text(), re.MULTILINE)
    strict = " ".join(["-Wall", "-Wextra", "-Werror", *more])
    words = " && ".join(f"{compiler} {strict} {words}" for compiler, words in zip(compilers, command, strict=True))
    words = words.replace("-O3", "-O1")  # so that the tests wait less for the compiler
    done = subprocess.run(["sh", "-c", words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "classify"


@pytest.fixture(scope="module")
def program(digits: Path) -> Path:
    """The program, built."""
    return build(digits.parent / "c")


def classified(program: list[str], images: list[Path]) -> list[list[tuple[str, float]]]:
    """The printed classes and percentages of each image."""
    done = subprocess.run([*program, *map(str, images)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split("  ", 1)[1] for line in done.stdout.splitlines()]
    return [[(cell.split()[0], float(cell.split()[1])) for cell in line.split(", ")] for line in lines]


def predicted(row: Path, folder: Path, table: Path) -> dict[str, dict[str, float]]:
    """By image, the percentage of each class."""
    assert main(["predict", str(row), str(folder), "--csv", str(table)]) == 0
    rows = list(csv.DictReader(table.open()))
    return {r["image"]: {key[2:-1]: 100 * float(r[key]) for key in r if key.startswith("p(")} for r in rows}


def as_ppm(files: list[Path], folder: Path) -> list[Path]:
    folder.mkdir()
    made = []
    for number, file in enumerate(files):
        image = Image.open(file)
        made.append(folder / f"{number}.{'pgm' if image.mode == 'L' else 'ppm'}")
        image.save(made[-1])
    return made


def check_digits(digits: Path, program: list[str], tmp_path: Path) -> None:
    expected = predicted(digits / "uniform-1x", digits.parent / "test", tmp_path / "answers.csv")
    found = classified(program, as_ppm([Path(name) for name in expected], tmp_path / "ppm"))
    assert len(found) == len(expected) > 300
    for answers, wanted in zip(found, expected.values(), strict=True):
        assert len(answers) == 3
        assert answers[0][1] >= answers[1][1] >= answers[2][1]
        for name, percentage in answers:
            assert percentage == pytest.approx(wanted[name], abs=0.06)
        assert answers[0][0] == max(wanted, key=wanted.__getitem__)


def test_cmake_builds_it_as_well(digits: Path, tmp_path: Path) -> None:
    if not shutil.which("cmake"):
        pytest.skip("there is no cmake")
    folder = tmp_path / "c"
    shutil.copytree(digits.parent / "c", folder, ignore=shutil.ignore_patterns("*.o", "classify"))
    (words,) = re.findall(r"cmake -B build && cmake --build build", (folder / "CMakeLists.txt").read_text())
    # Fewer optimisations, so that the test waits less for the compiler.
    less = "-DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O1 -DCMAKE_CXX_FLAGS=-O1"
    words = words.replace("-B build", f"-B build {less}")
    done = subprocess.run(["sh", "-c", words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    check_digits(digits, [str(folder / "build" / "classify")], tmp_path)


def test_it_answers_as_prediction_does(digits: Path, program: Path, tmp_path: Path) -> None:
    check_digits(digits, [str(program)], tmp_path)


def test_it_answers_so_on_an_arm_processor(digits: Path, tmp_path: Path) -> None:
    if not shutil.which("qemu-aarch64"):
        pytest.skip("there is no qemu-aarch64")
    folder = tmp_path / "arm"
    shutil.copytree(digits.parent / "c", folder, ignore=shutil.ignore_patterns("classify", "*.o"))
    check_digits(digits, ["qemu-aarch64", str(build(folder, _ARM, "-static"))], tmp_path)


def compiled(*words: object, folder: Path) -> None:
    done = subprocess.run([*map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


#: A program of somebody's own: an image of any size, in C or in C++.
_OWN = """
#include "image.h"
#include "network.h"
#include "runtime/bnn.h"
#ifdef __cplusplus
extern "C"
#endif
int answer(int width, int height, uint8_t *bytes, uint8_t *pixels, float *logits) {
    %s
    const int classes = bnn_classes(network);
    bnn_free(network);
    return classes;
}
"""


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_a_program_of_ones_own_brings_images_to_size_and_is_linked_into_a_shared_object(
    digits: Path, tmp_path: Path, language: str
) -> None:
    """With the page's lines, the archive that CMake builds, and the commands of README.txt; in C and in C++."""
    for tool in ("cmake", *_HERE):
        if not shutil.which(tool):
            pytest.skip(f"there is no {tool}")
    folder = tmp_path / "c"
    shutil.copytree(digits.parent / "c", folder, ignore=shutil.ignore_patterns("*.o", "classify"))
    (lines,) = re.findall(r"```c\n(.*?)```", (ROOT / "docs" / "found.md").read_text(), re.DOTALL)
    (folder / f"own.{language}").write_text(_OWN % lines.replace("\n", "\n    "))
    less = ["-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O1", "-DCMAKE_CXX_FLAGS=-O1"]
    compiled("cmake", "-B", "build", *less, folder=folder)
    compiled("cmake", "--build", "build", "--target", "bnn", folder=folder)
    compiled("cc", "-fPIC", "-c", "image.c", "network.c", folder=folder)
    own = ["c++" if language == "cpp" else "cc", "-Wall", "-Werror", "-fPIC", "-c", f"own.{language}"]
    compiled(*own, folder=folder)
    objects = ["own.o", "image.o", "network.o", "build/libbnn.a"]
    compiled("c++", "-shared", *objects, "-o", "libown.so", "-pthread", "-Wl,--no-undefined", folder=folder)
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    pixels, logits = np.zeros((8, 8, 1), np.uint8), np.zeros(10, np.float32)
    arrays = [array.ctypes.data_as(ctypes.c_void_p) for array in (photo, pixels, logits)]
    assert ctypes.CDLL(str(folder / "libown.so")).answer(40, 30, *arrays) == 10
    expected = load_classifier(digits / "retrain" / "uniform-1x" / "seed_0" / "weights.h5").probabilities([photo])
    powers = np.exp(logits - logits.max())
    assert powers / powers.sum() == pytest.approx(expected[0], abs=1e-5)


def test_a_shared_object_by_the_commands_of_the_page_and_of_the_readme(digits: Path, tmp_path: Path) -> None:
    if not all(map(shutil.which, _HERE)):
        pytest.skip("there is no compiler")
    folder = tmp_path / "c"
    shutil.copytree(digits.parent / "c", folder, ignore=shutil.ignore_patterns("*.o", "classify"))
    readme, page = (folder / "README.txt").read_text(), (ROOT / "docs" / "found.md").read_text()
    commands = re.findall(r"^ +(c.* -O3 -fPIC .*)$", readme, re.MULTILINE)
    assert len(commands) == 2 and all(f"    {command}\n" in page for command in commands)
    assert "images of 8x8 pixels and 1 channel, 10 classes." in readme and "image.h is the interface" in readme
    for command in commands:
        compiled("sh", "-c", command.replace("-O3", "-O1"), folder=folder)
    library = ctypes.CDLL(str(folder / "libfound.so"))
    size = ctypes.c_size_t.in_dll(library, "network_size")
    data, network = (ctypes.c_char * size.value).in_dll(library, "network_data"), ctypes.c_void_p()
    assert library.bnn_load_memory(data, size, None, ctypes.byref(network)) == 0
    assert library.bnn_size(network) == 8 and hasattr(library, "image_bring")
    library.bnn_free(network)


def test_cmake_makes_the_runtime_a_shared_object(digits: Path, tmp_path: Path) -> None:
    if not shutil.which("cmake"):
        pytest.skip("there is no cmake")
    folder = tmp_path / "c"
    shutil.copytree(digits.parent / "c", folder, ignore=shutil.ignore_patterns("*.o", "classify"))
    for page in ((folder / "README.txt").read_text(), (ROOT / "docs" / "found.md").read_text()):
        assert "cmake -B build -DBUILD_SHARED_LIBS=ON" in page
    less = ["-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O1", "-DCMAKE_CXX_FLAGS=-O1"]
    compiled("cmake", "-B", "build", "-DBUILD_SHARED_LIBS=ON", *less, folder=folder)
    compiled("cmake", "--build", "build", folder=folder)
    assert ctypes.CDLL(str(folder / "build" / "libbnn.so")).bnn_classes(None) == 0
    right = b"P6 8 8 255 " + bytes(192)
    assert subprocess.run([folder / "build" / "classify", "-"], input=right, capture_output=True).returncode == 0


def test_a_wrong_image_is_told_in_a_sentence(program: Path, tmp_path: Path) -> None:
    wrong = {
        "none.ppm": (None, "it cannot be opened"),
        "text.ppm": (b"hello", "neither a binary PPM"),
        "header.ppm": (b"P6\n9999999 -1 255\n", "header makes no sense"),
        "cut.ppm": (b"P6 # a comment\n8 8 255\n" + bytes(100), "cut short"),
    }
    for name, (content, says) in wrong.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        done = subprocess.run([program, tmp_path / name], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1 and says in done.stderr
    right = b"P6\n# a comment\n8 8\n255\n" + bytes(192)
    done = subprocess.run([program, "-"], input=right, capture_output=True)
    assert done.returncode == 0
    wide = b"P6 8 8 65535 " + bytes(384)
    assert subprocess.run([program, "-"], input=wide, capture_output=True).stdout == done.stdout
    assert subprocess.run([program], capture_output=True).returncode == 2


def test_images_that_follow_one_another_each_get_a_line(program: Path, tmp_path: Path) -> None:
    """As netpbm's programs and cameras send them."""
    draw = np.random.default_rng(0)
    images = [f"P{5 + side % 2} 8 8 255\n".encode() + draw.bytes(64 * (1 + side % 2 * 2)) for side in range(4)]
    alone = [subprocess.run([program, "-"], input=image, capture_output=True).stdout for image in images]
    assert len(set(alone)) > 1
    together = subprocess.run([program, "-"], input=b"\n".join([*images, b" "]), capture_output=True)
    assert (together.returncode, together.stdout) == (0, b"".join(alone))
    (tmp_path / "all.ppm").write_bytes(b"".join(images)[:-1])
    cut = subprocess.run([program, tmp_path / "all.ppm"], capture_output=True)
    assert cut.returncode == 1 and cut.stdout.count(b"\n") == 3 and b"cut short" in cut.stderr


class _Image(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("pixels", ctypes.c_void_p),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The functions of image.c."""
    if not shutil.which("cc"):
        pytest.skip("there is no cc")
    library = tmp_path_factory.mktemp("library") / "image.so"
    words = ["cc", "-O2", "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", CLASSIFY / "image.c", "-lm"]
    subprocess.run([*map(str, words), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


@pytest.mark.parametrize("white", [1, 100, 200, 255, 300, 1023, 4095, 65535])
@pytest.mark.parametrize(("magic", "channels"), [("P5", 1), ("P6", 3)])
def test_brightness_is_scaled_as_in_training(library, tmp_path: Path, white: int, magic: str, channels: int) -> None:
    values = np.linspace(0, white, 48 * 32 * channels).astype(">u2" if white > 255 else "u1")
    data = f"{magic}\n48 32\n{white}\n".encode() + values.tobytes()
    (tmp_path / "image.ppm").write_bytes(data)
    here = ctypes.CDLL(None)
    here.fopen.restype, library.image_read.restype = ctypes.c_void_p, ctypes.c_char_p
    file = ctypes.c_void_p(here.fopen(str(tmp_path / "image.ppm").encode(), b"rb"))
    image = _Image()
    assert library.image_read(file, ctypes.byref(image)) is None
    here.fclose(file)
    found = np.frombuffer(ctypes.string_at(image.pixels, 48 * 32 * channels), np.uint8)
    assert np.array_equal(found.reshape(32, 48, channels), np.asarray(decode(data).image)[:, :, :channels])


@pytest.fixture(scope="module")
def bring(library: ctypes.CDLL) -> Callable[..., np.ndarray]:
    """Brings pixels (height, width, 3) to a size, with so many channels and in one of the two ways."""
    function = library.image_bring
    function.restype = ctypes.c_char_p

    def call(pixels: np.ndarray, size: int, channels: int, way: int) -> np.ndarray:
        found = np.empty((size, size, channels), np.uint8)
        pixels = np.ascontiguousarray(pixels)
        image = _Image(pixels.shape[1], pixels.shape[0], 3, pixels.ctypes.data)
        assert function(ctypes.byref(image), size, channels, way, found.ctypes.data_as(ctypes.c_void_p)) is None
        return found

    return call


def _cut(image: Image.Image, size: int) -> Image.Image:
    return image.crop(centre_box(*image.size, size)).resize((size, size), Image.Resampling.BILINEAR)


def test_images_become_what_the_network_sees(bring: Callable[..., np.ndarray]) -> None:
    """Byte for byte as Pillow resizes them: rows first, or columns first, as Pillow does with some tall images."""
    draw = np.random.default_rng(0)
    sizes = [(8, 8), (1, 1), (3, 50), (50, 3), (31, 33), (224, 224), (301, 200), (97, 640)]
    for (height, width), size in ((pair, size) for pair in sizes for size in (8, 32, 33)):
        pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for channels, mode in ((3, "RGB"), (1, "L")):
            for way, python in ((0, fitted), (1, _cut)):
                wanted = np.asarray(python(Image.fromarray(pixels).convert(mode), size)).reshape(size, size, channels)
                found = [bring(pixels, size, channels, way)]
                if height > width:
                    found.append(bring(pixels.transpose(1, 0, 2), size, channels, way).transpose(1, 0, 2))
                assert any(np.array_equal(one, wanted) for one in found), (height, width, size, mode, way)


@pytest.mark.parametrize("size", [33, 64, 224])
def test_photographs_become_what_the_network_sees(bring: Callable[..., np.ndarray], size: int) -> None:
    """But for a grey level that torch, which resizes these, rounds otherwise; at the edge of the part as well."""
    draw, stored = np.random.default_rng(0), io.BytesIO()
    image = Image.fromarray(draw.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    image.save(stored, "JPEG", quality=95)
    decoded = np.asarray(Image.open(stored))
    wanted = centre(stored.getvalue(), size).numpy()
    assert np.abs(bring(decoded, size, 3, 1).astype(int) - wanted).max() <= 1


def test_an_output_that_is_a_file(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c").write_text("")
    assert main(["export", str(digits / "uniform-1x"), "--format", "c", "--output", str(tmp_path / "c")]) == 1
    assert "is a file: name a folder" in sentence(capsys)


def test_a_program_that_somebody_has_made_of_the_sources_is_kept(digits, tmp_path, capsys):
    folder = tmp_path / "c"
    words = ["export", str(digits / "uniform-1x"), "--format", "c", "--output", str(folder)]
    assert main(words) == 0
    ours = (folder / "main.c").read_bytes()
    (folder / "main.c").write_text("int main(void) { return 0; }")
    (folder / "network.c").write_text("of another network")
    assert main(words) == 0
    assert (folder / "main.c").read_bytes() == ours
    assert (folder / "main.c.before").read_text() == "int main(void) { return 0; }"
    assert f"{folder}/main.c was another; it is kept as main.c.before" in " ".join(capsys.readouterr().err.split())
    assert main(words) == 0, "what is kept stays"
    assert (folder / "main.c.before").read_text() == "int main(void) { return 0; }"
    assert [path.name for path in folder.rglob("*.before")] == ["main.c.before"]
