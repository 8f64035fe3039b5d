"""The processor: what it is called and what it can do, as Linux tells it."""

import os
import platform


def name() -> str:
    """Returns a name such as 'AMD EPYC'; what Python knows if Linux does not say it."""
    return _info("model name") or platform.processor() or platform.machine()


def features() -> frozenset[str]:
    """Returns names of its instruction sets; empty where they are not known."""
    # Intel and AMD write 'flags', 64-bit ARM writes 'Features'.
    return frozenset((_info("flags") or _info("Features")).split())


def usable() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kind() -> str:
    """Returns all that decides which machine code it runs and runs well."""
    return f"{platform.machine()} {name()} {' '.join(sorted(features()))}"


def _info(field: str) -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith(field)), "")
    except OSError:
        return ""


def multiplies_bytes() -> bool:
    """Returns whether the CPU has instructions that multiply and add four pairs of bytes at once (VNNI)."""
    return not features().isdisjoint({"avx512_vnni", "avx_vnni"})
