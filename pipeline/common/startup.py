"""The environment, set right before anything else is imported: where modules come from, how text is encoded.

Imports nothing that a file of the same name in the working folder could be taken for.
"""

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


def import_from_the_library_first() -> None:
    """Moves this package's folder to the end of the path, and takes the working folder from it.

    ``python -m`` puts the working folder first. A file such as ``random.py`` in it, or beside this package, would be
    imported in place of the library's. A working folder that PYTHONPATH names, since plug-ins lie in it, comes last.
    """
    here = os.path.abspath(os.curdir)  # noqa: PTH100
    others = [place for place in sys.path if place not in ("", here, _PACKAGE)]
    found = _PACKAGE in sys.path or (here == _PACKAGE and "" in sys.path)
    named = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]  # noqa: PTH100
    wanted = here in named and here != _PACKAGE
    sys.path[:] = [*others, *([_PACKAGE] if found else []), *([here] if wanted else [])]


def speak_utf8() -> None:
    """Makes all text UTF-8, whatever the locale: starts this process anew if it is not.

    Configurations, logs and tables hold letters that a locale such as C or ISO-8859-1 lacks. What a terminal cannot
    show is escaped.
    """
    import locale

    native = locale.getencoding()
    if not sys.flags.utf8_mode and native.replace("-", "").lower() != "utf8" and "PYTHONUTF8" not in os.environ:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            encoding = native if stream.isatty() else stream.encoding
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
