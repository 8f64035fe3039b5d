"""A packed network as a folder of C and C++ sources that need nothing else: a program that says what is on a PPM.

::

    cc -O3 -c main.c image.c network.c && c++ -O3 *.o runtime/*.cpp -o classify -pthread
    ./classify photo.ppm

or with CMake. Programs of one's own include ``runtime/bnn.h``, the runtime's interface, ``image.h``, which brings
images to size, and ``network.h``: the network is an array in ``network.c``.
"""

import textwrap

from pipeline.common.text import counted
from pipeline.export.packed import PackedNetwork
from pipeline.kernels.build import CLASSIFY, INFERENCE

_BYTES_IN_A_LINE = 24
#: Files that are made of the network; the others are the same for all.
GENERATED = ("network.c", "README.txt")


def c_sources(network: PackedNetwork) -> dict[str, bytes]:
    """Returns the files of the folder: their contents by path."""
    files = {file.name: file.read_bytes() for file in sorted(CLASSIFY.iterdir())}
    runtime = [file for file in sorted(INFERENCE.iterdir()) if file.suffix in (".cpp", ".h")]
    files |= {f"runtime/{file.name}": file.read_bytes() for file in runtime}
    return {**files, "network.c": _array(network).encode(), "README.txt": _readme(network).encode()}


def _array(network: PackedNetwork) -> str:
    data = network.to_bytes()
    lines = [
        ",".join(map(str, data[start : start + _BYTES_IN_A_LINE])) + ","
        for start in range(0, len(data), _BYTES_IN_A_LINE)
    ]
    storage = network.information.get("preparation", {}).get("storage", "pixels")
    way = "IMAGE_CENTRE" if storage == "jpeg" else "IMAGE_SQUARE"
    head = f'#include "network.h"\n\nconst size_t network_size = {len(data)};\nconst image_way network_way = {way};\n'
    return "\n".join([head, f"const unsigned char network_data[{len(data)}] = {{", *lines, "};", ""])


def _readme(network: PackedNetwork) -> str:
    size, channels = network.size, counted(network.channels, "channel")
    classes = counted(len(network.classes), "class", "classes")
    return textwrap.dedent(
        f"""\
        A binary neural network: images of {size}x{size} pixels and {channels}, {classes}.

            cc -O3 -c main.c image.c network.c && c++ -O3 *.o runtime/*.cpp -o classify -pthread
            ./classify photo.ppm

        or: cmake -B build && cmake --build build && build/classify photo.ppm

        A shared object of network, runtime and image.c, for programs in any language (with CMake, of the runtime
        alone: cmake -B build -DBUILD_SHARED_LIBS=ON; its libbnn.a can become part of a shared object too):

            cc -O3 -fPIC -c image.c network.c
            c++ -O3 -fPIC -shared image.o network.o runtime/*.cpp -o libfound.so -pthread

        A photograph becomes a PPM by: djpeg photo.jpg > photo.ppm
        djpeg does not turn it upright as its EXIF data say, which networks are trained on: have that done before
        (exiftran -a, or ImageMagick: convert photo.jpg -auto-orient photo.ppm). Several images may follow one another
        in a file or on standard input; each gets a line.

        main.c     a program that says what is on images of the formats PPM and PGM
        image.c    how an image of any size becomes what the network sees; image.h is the interface
        network.c  the network, as it lies in a packed file; network.h declares it, and how images are brought to size
        runtime/   what computes it; bnn.h is its interface: load, run, free

        A program of your own needs all three headers: images go through image_bring before bnn_run_pixels.
        """
    )
