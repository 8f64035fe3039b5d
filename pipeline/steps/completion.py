"""Completion of the command line in a shell, by the library argcomplete where it is installed (extra 'completion')."""

import argparse
import os
from importlib import import_module

from pipeline.steps import COMMANDS, STEPS


def complete_command_line() -> None:
    """Answers a shell that asks how a command line goes on, and ends the process; else does nothing.

    Only the command that stands on the line is imported: the others would take seconds.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()
    parser = argparse.ArgumentParser(allow_abbrev=False)
    commands = parser.add_subparsers()
    for name in STEPS:
        if name in words:
            import_module(f"pipeline.steps.{STEPS[name]}").add_arguments(commands.add_parser(name, allow_abbrev=False))
        elif name in COMMANDS:  # people do not call the others
            commands.add_parser(name)
    argcomplete.autocomplete(parser)
