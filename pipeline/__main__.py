"""The command line: ``python -m pipeline STEP …``."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from pipeline import __version__
from pipeline.common.errors import StoppedError, UserError
from pipeline.common.processes import collect_rarely, end_with_workflow, leave
from pipeline.steps import STEPS
from pipeline.steps.options import claim_outputs

#: A step that sets this default takes flags that it does not know, to pass them on.
OTHERS = "others"


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        # A required flag has no default, and an empty one says nothing.
        return super()._get_help_string(action) if action.default else action.help


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one step. Returns the exit code: 0, 1 for a user's mistake, 128 and the signal's number after one."""
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __package__:
            raise
        print(f"error: {_elsewhere(error.name)}", file=sys.stderr)
        return 1
    except StoppedError as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    # Only the step that is asked for is imported: the others' help would cost every call their imports.
    name = "run" if words[:1] == ["resume"] else next(iter(words), "")
    if name not in STEPS:
        return _explain(name)
    module = import_module(f"pipeline.steps.{STEPS[name]}")
    parser = argparse.ArgumentParser(
        f"python -m pipeline {name}", description=module.__doc__, formatter_class=_Help, allow_abbrev=False
    )  # an abbreviation could be another program's flag: --config is not --configfile
    module.add_arguments(parser)
    arguments, others = parser.parse_known_args(words[1:])
    if others and not hasattr(arguments, OTHERS):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    setattr(arguments, OTHERS, others)
    claim_outputs(arguments)
    return module.run(arguments) or 0


def _elsewhere(package: str) -> str:
    return (
        f"there is no package '{package}' for {sys.executable}: the project is installed in another environment; "
        "after make run that is .venv (. .venv/bin/activate)"
    )


def _explain(name: str) -> int:
    if name in ("--version", "-V"):
        print(__version__)
        return 0
    width = max(map(len, STEPS))
    print("usage: python -m pipeline STEP [options]      python -m pipeline STEP --help\n")
    for step, module in STEPS.items():
        doc = (import_module(f"pipeline.steps.{module}").__doc__ or "").splitlines()[0]
        print(f"  {step:<{width}}  {doc}")
    if name in ("", "-h", "--help"):
        return 0
    print(f"\nerror: there is no step '{name}'", file=sys.stderr)
    return 2


if __name__ == "__main__":
    collect_rarely()
    at_work = end_with_workflow()
    code = main()
    if at_work:
        leave(code)
    sys.exit(code)  # by hand, perhaps in a profiler that still has something to say
