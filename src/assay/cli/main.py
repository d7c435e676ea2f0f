# SPDX-License-Identifier: Apache-2.0
"""The command ``assay`` and its subcommands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from assay.basics.errors import AssayError, MissingArgument
from assay.cli.error_messages import (
    describe_missing,
    describe_os_error,
    report_error,
    report_interruption,
    report_unexpected_error,
)
from assay.cli.exit_codes import INTERNAL, INTERRUPTED, USAGE, describe_exit_codes
from assay.cli.terminal.standard_streams import tolerate_closed_streams

COMMANDS = {
    "audit": ("audit", "Audit a model on data; write the results and an HTML report."),
    "explain": ("explain", "Explain rows with one method."),
    "evaluate": ("evaluate", "Evaluate an explanation with one score."),
    "attack": ("attack", "Attack a prediction or an explanation."),
    "certify": ("certify", "Certify the stability of a prediction or an explanation."),
    "diagnose": ("diagnose", "Test a model or its data for one kind of fault."),
    "redteam": ("redteam", "Probe a language model or attack a classifier, against controls that do not attack."),
    "repair": ("repair", "Repair a model, and measure the cost of the repair."),
    "report": ("report", "Write a finished audit in another format."),
    "show": ("show", "Describe a check, a method or a saved result."),
    "choose": ("choose", "Name the methods that answer a question about a kind of model."),
    "axioms": ("axioms", "Show or measure which axioms each explanation method keeps."),
    "benchmark": ("benchmark", "Evaluate explanation methods on models with known ground truth."),
    "experiment": ("experiment", "Run a published experiment again, on models of the package or on yours."),
    "simulatability": ("simulatability", "Rank explanations by what a student model learns from them."),
    "study": ("study", "Write a questionnaire for people who guess the model, or evaluate its answers."),
    "list": ("listing", "List methods, checks, profiles and formats."),
    "compare": ("compare", "Compare two audits, or two models on the same rows."),
    "gate": ("gate", "Pass or fail a finished audit; missing results fail."),
    "inspect": ("inspect", "Describe the contents of a model file without loading it."),
    "doctor": ("doctor", "Show versions, extras and missing packages."),
    "init": ("init", "Write a commented assay.toml for this data."),
    "schema": ("schema", "Print the JSON Schema of assay.toml or result.json."),
    "demo": ("demo", "Audit an example model: a credit pipeline or an ImageNet classifier."),
}
"""Each command: the module in ``commands`` with its function of the same name, and its help text."""

VERBOSE = ("-v", "--verbose")
CODES = f"{describe_exit_codes()} With -v (--verbose), every error prints its traceback."
HELP = "Explain a trained model, evaluate the explanations, find the model's faults, repair them, and verify the fix."

app = App(
    name="assay",
    help=HELP,
    help_format="plaintext",
    help_epilogue=CODES,
    version="0.1.0",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,
)
for _name, (_module, _help) in COMMANDS.items():
    app.command(f"assay.cli.commands.{_module}:{_module}", name=_name, help=_help)


def main() -> None:
    """Run the command with the arguments of the shell."""
    tolerate_closed_streams()
    sys.exit(run_command(sys.argv[1:]))


def run_command(words: Sequence[str]) -> int:
    """Run a command and return its exit code. Errors are reported as messages, with a traceback if verbose."""
    verbose = any(word in VERBOSE for word in words)
    arguments = [word for word in words if word not in VERBOSE]
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        return report_error("E020", str(error), USAGE, verbose, hint=f"assay {_command_name(arguments)}--help")
    except MissingArgument as error:
        return report_error(error.code, describe_missing(error), error.exit, verbose)
    except AssayError as error:
        return report_error(error.code, str(error), error.exit, verbose)
    except KeyboardInterrupt:
        report_interruption(arguments)
        return INTERRUPTED
    except OSError as error:
        return report_error("E022", describe_os_error(error), USAGE, verbose)
    except Exception as error:  # noqa: BLE001  # the outermost handler: an internal error has its own exit code
        return report_unexpected_error(error, arguments, verbose) or INTERNAL


def _command_name(words: Sequence[str]) -> str:
    return f"{words[0]} " if words and words[0] in COMMANDS else ""
