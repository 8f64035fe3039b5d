"""Records of what made an artifact: versions, command, machine; kept beside results, never inside what is compared."""

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pipeline

_PACKAGES = ("torch", "torchvision", "snakemake", "numpy", "h5py")


def versions() -> dict[str, str]:
    """Returns versions of this software and of what a result can depend on. Equal on machines set up alike."""
    found = {"pipeline": pipeline.__version__, "method": str(pipeline.METHOD_VERSION)}
    found["python"] = platform.python_version()
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def provenance() -> dict[str, Any]:
    """Returns the record that goes into a timing file: what ran, where, when it ended, with which versions."""
    return {
        "command": shlex.join(["python", "-m", "pipeline", *sys.argv[1:]]),
        "host": platform.node(),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }
