"""The command line: ``binary-nas COMMAND …`` or ``python -m pipeline COMMAND …``."""

from pipeline.common.startup import import_from_the_library_first, speak_utf8

if __name__ == "__main__":
    import_from_the_library_first()

    from pipeline.common.handover import hand_over

    hand_over()  # before anything else is imported, since it may be needless here

import argparse
import difflib
import errno
import sys
import textwrap
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from pipeline import __version__
from pipeline.common.errors import StoppedError, UserError
from pipeline.common.processes import collect_rarely, end_with_workflow, forget_output, leave
from pipeline.common.terminal import complain, fit
from pipeline.common.untouched import are_untouched
from pipeline.steps import COMMANDS, STEPS
from pipeline.steps.completion import complete_command_line
from pipeline.steps.options import TYPED, claim_outputs

#: A step that sets this default takes flags that it does not know, to pass them on.
OTHERS = "others"
_PROGRAM = "python -m pipeline"
#: Words of commands that sort them themselves, so that argparse does not know of them.
OTHER_WORDS = {"run": ("[FILE.yaml|KEY=VALUE ...]", "[Snakemake's flags and targets ...]")}


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Paragraphs as wide as the terminal, indented lines as they are, defaults that say something.

    The first line names only what has no flag and what must be given: the flags are listed below it.
    """

    def _format_usage(self, usage: Any, actions: Iterable[argparse.Action], groups: Any, prefix: str | None) -> str:
        if usage is not None:  # set before, as argparse hides words while it looks for flags among them
            return f"usage: {usage}\n\n"
        wanted = [action for action in actions if action.required or not action.option_strings]
        flags = [
            f"{action.option_strings[0]} {self._format_args(action, self._get_default_metavar_for_optional(action))}"
            for action in wanted
            if action.option_strings
        ]
        words = [self._format_args(action, action.dest) for action in wanted if not action.option_strings]
        words += OTHER_WORDS.get(self._prog.rpartition(" ")[2], ())
        return (
            fit(" ".join([f"usage: {self._prog}", *flags, "[flags]", *words]), indent=7, columns=self._width) + "\n\n"
        )

    def _get_help_string(self, action: argparse.Action) -> str | None:
        # A required flag has no default, and an empty one says nothing.
        return super()._get_help_string(action) if action.default else action.help

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = textwrap.dedent(text).strip().split("\n\n")
        filled = (p if p.startswith(" ") else fit(" ".join(p.split()), columns=width) for p in paragraphs)
        return textwrap.indent("\n\n".join(filled), indent)


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(message, f"{self.prog} --help lists what it takes")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Ends with what is wrong with words that were not understood."""
        word = words[0].partition("=")[0]
        near = difflib.get_close_matches(word, self._option_string_actions, 1) if word.startswith("-") else []
        what = f"there is no flag {word}" if word.startswith("-") else f"'{word[:80]}' is one word too many"
        raise _UsageError(what, f"did you mean {near[0]}?" if near else f"{self.prog} --help lists what it takes")


class _UsageError(UserError):
    """A command line that makes no sense: exit code 2, as is usual."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one step. Returns the exit code: 0, 1 for a user's mistake (2 in the command line itself), 128 and the
    signal's number after one.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        if sys.stdout is not None:
            sys.stdout.flush()  # while what goes wrong can be said
        return code
    except _UsageError as error:
        complain(f"error: {error}")
        return 2
    except UserError as error:
        complain(f"error: {error}")
        return 1
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __package__:
            raise
        complain(f"error: {_elsewhere(error.name)}")
        return 1
    except EOFError as error:
        if "marshal" not in str(error):
            raise
        # Python does not notice when a disk is full while it keeps what it compiled.
        folder = Path(__file__).parent
        complain(f"error: what Python compiled of a module was cut off: delete all folders __pycache__ in {folder}")
        return 1
    except StoppedError as stopped:
        complain(str(stopped))
        return stopped.exit_code
    except BrokenPipeError:
        forget_output()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # What goes into a file has its name said by whoever writes it.
        complain(f"error: the output cannot be written ({error.strerror}): make room and call it again")
        forget_output()
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    # Only the step that is asked for is imported: the others' help would cost every call their imports.
    name = "run" if words[:1] == ["resume"] else next(iter(words), "")
    if name in ("", "-h", "--help", "help"):
        return _help()
    if name in ("--version", "-V"):
        print(__version__)
        return 0
    if name not in STEPS:
        near = difflib.get_close_matches(name, STEPS, 1)
        remedy = f"did you mean '{near[0]}'?" if near else f"{_PROGRAM} --help lists them"
        raise _UsageError(f"there is no command '{name[:80]}'", remedy)
    module = import_module(f"pipeline.steps.{STEPS[name]}")
    parser = _Parser(
        f"{_PROGRAM} {name}", description=module.__doc__, formatter_class=_Help, allow_abbrev=False
    )  # an abbreviation could be another program's flag: --config is not --configfile
    module.add_arguments(parser)
    parser.usage = parser.format_usage().removeprefix("usage: ").rstrip()
    arguments, others = parser.parse_known_intermixed_args(words[1:])
    if others and not hasattr(arguments, OTHERS):
        parser.refuse(others)
    setattr(arguments, OTHERS, others)
    setattr(arguments, TYPED, words[1:])
    claim_outputs(arguments)
    if not are_untouched():
        from pipeline.workflow.beginning import check_beginning

        check_beginning()
    return module.run(arguments) or 0


def _elsewhere(package: str) -> str:
    return (
        f"there is no package '{package}' for {sys.executable}: the project is installed in another environment; "
        "after make run that is .venv (. .venv/bin/activate)"
    )


def _help() -> int:
    """Returns the list of commands: first those for people, then those that the rules call."""
    print(f"usage: {_PROGRAM} COMMAND …      {_PROGRAM} COMMAND --help\n")
    for title, names in (
        ("commands", COMMANDS),
        ("steps of the workflow", [name for name in STEPS if name not in COMMANDS]),
    ):
        print(f"{title}:")
        for name in names:
            doc = (import_module(f"pipeline.steps.{STEPS[name]}").__doc__ or "").splitlines()[0]
            indent = max(map(len, STEPS)) + 4
            print(fit(doc, first=f"  {name}".ljust(indent), indent=indent))
        print()
    print(fit("A configuration is config.yaml, FILEs laid over it, and KEY=VALUEs over these."))
    return 0


def start() -> NoReturn:
    """Runs the command line of this process, and ends it."""
    complete_command_line()
    speak_utf8()
    collect_rarely()
    at_work = end_with_workflow()
    code = main()
    if at_work:
        leave(code)
    sys.exit(code)  # by hand, perhaps in a profiler that still has something to say


if __name__ == "__main__":
    start()
