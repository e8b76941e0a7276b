"""The console entry point: find the verb, read its flags, run it, and turn what went wrong into one line and a status.

Exit statuses: 0 fine, 1 a check failed, 2 wrong usage or bad input, 130 interrupted. Results go to stdout, all else to
stderr. Only the module of the verb in hand is imported, so that ``recgym --help`` needs none of the library.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol, cast, runtime_checkable

__all__ = ["VERBS", "Entry", "Runnable", "main"]

PROGRAM = "recgym"
FINE, WRONG_USAGE, INTERRUPTED, BROKEN_PIPE = 0, 2, 130, 141

# Top-level modules of optional packages, and the extra that installs each.
EXTRAS = {"d3rlpy": "offline", "minari": "offline", "h5py": "offline", "ray": "ray"}


@runtime_checkable
class Runnable(Protocol):
    """A verb with its flags read."""

    def run(self) -> int:
        """Do the work; returns the exit status."""


@dataclass(frozen=True)
class Entry:
    """Where a verb lives.

    Attributes:
        words: what is typed after ``recgym``: one word, or a group and a word.
        target: ``module:class`` of the verb's dataclass.
        summary: one line for the list of verbs.
    """

    words: tuple[str, ...]
    target: str
    summary: str

    def load(self) -> type[Runnable]:
        """Import the verb's module and return its dataclass."""
        module, _, name = self.target.partition(":")
        return cast(type[Runnable], getattr(importlib.import_module(module), name))


VERBS = (
    Entry(("demo",), "recgym.cli.demo:Demo", "From a log to a trained policy and a report"),
    Entry(("data", "describe"), "recgym.cli.data:Describe", "What a log holds, and what was left out of it"),
    Entry(("data", "convert"), "recgym.cli.data:Convert", "Write a log in recgym's own format"),
    Entry(("data", "split"), "recgym.cli.data:Split", "Split a log by users into two"),
    Entry(("data", "transitions"), "recgym.cli.transitions:Transitions", "Read a log as steps that agents learn from"),
    Entry(("simulator", "fit"), "recgym.cli.simulator:Fit", "Fit simulated users to a log"),
    Entry(
        ("simulator", "check"), "recgym.cli.simulator:Check", "Hold simulated users against a log they have not seen"
    ),
    Entry(("encoder", "fit"), "recgym.cli.encoder:Fit", "Fit a sequence encoder to a log"),
    Entry(("encoder", "evaluate"), "recgym.cli.encoder:Evaluate", "Judge an encoder by where it ranks what comes next"),
    Entry(("encoder", "recommend"), "recgym.cli.encoder:Recommend", "What an encoder would recommend to users"),
    Entry(("envs", "list"), "recgym.cli.envs:ListEnvs", "The registered environments"),
    Entry(("envs", "check"), "recgym.cli.envs:CheckEnvs", "Run the contract checks on environments"),
    Entry(("record",), "recgym.cli.record:Record", "Let a policy serve simulated users, and keep every step"),
    Entry(("train",), "recgym.cli.train:Train", "Train an agent on an environment, or with --log on recorded steps"),
    Entry(("sweep",), "recgym.cli.sweep:SweepAgent", "Train an agent with many seeds and settings, past one machine"),
    Entry(("evaluate",), "recgym.cli.evaluate:Evaluate", "Roll policies out and compare them"),
    Entry(("ope",), "recgym.cli.ope:Ope", "What policies are worth, by a log of another one"),
    Entry(("abtest",), "recgym.cli.abtest:ABTest", "Try an A/B test out on simulated users, thousands of times"),
    Entry(("bench",), "recgym.cli.bench:Bench", "How fast recgym is on this machine, beside its peers"),
    Entry(("report",), "recgym.cli.report:Report", "Render the results of a run as one HTML page"),
    Entry(("view",), "recgym.cli.view:View", "Look at runs in the browser, also while they go on"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``recgym``; those of the process if None.

    Returns:
        The exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if os.environ.get("RECGYM_DEBUG") == "1":
        return _dispatch(arguments)
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except ValueError as error:
        return _complain(f"error: {error}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"error: {where}{error.strerror or error}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        install = f"pip install '{PROGRAM}[{EXTRAS[package]}]'"
        return _complain(f"error: the optional package {package} is not installed; get it with: {install}")


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(_help(()), file=sys.stderr)
        return WRONG_USAGE
    if arguments[0] == "--version":
        print(f"{PROGRAM} {version(PROGRAM)}")
        return FINE
    path: tuple[str, ...] = ()
    for count, word in enumerate(arguments, start=1):
        if word in ("-h", "--help"):
            print(_help(path))
            return FINE
        legal = _next_words(path)
        if word not in legal:
            return _wrong_word(path, word, legal)
        path = (*path, word)
        for entry in VERBS:
            if entry.words == path:
                return _run(entry, arguments[count:])
    return _complain(f"error: {' '.join((PROGRAM, *path))} needs a verb; its verbs are {', '.join(_next_words(path))}")


def _run(entry: Entry, flags: list[str]) -> int:
    import tyro  # here, so that the list of verbs does without it

    verb = entry.load()
    prog = " ".join((PROGRAM, *entry.words))
    try:
        if hasattr(verb, "parse"):  # a verb whose flags depend on one another reads them itself
            parsed: Any = verb.parse(flags, prog)
        else:
            parsed = tyro.cli(verb, args=flags, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FINE
    status = cast(Runnable, parsed).run()
    sys.stdout.flush()
    return status


def _next_words(path: tuple[str, ...]) -> list[str]:
    depth = len(path)
    return list(dict.fromkeys(entry.words[depth] for entry in VERBS if entry.words[:depth] == path))


def _wrong_word(path: tuple[str, ...], word: str, legal: list[str]) -> int:
    kind = "option" if word.startswith("-") else "verb"
    closest = difflib.get_close_matches(word, legal, n=1)
    hint = f" (did you mean {closest[0]}?)" if closest else ""
    return _complain(
        f"error: {' '.join((PROGRAM, *path))} has no {kind} {word!r}{hint}; its verbs are {', '.join(legal)}"
    )


def _help(path: tuple[str, ...]) -> str:
    entries = [entry for entry in VERBS if entry.words[: len(path)] == path]
    width = max(len(" ".join(entry.words)) for entry in entries)
    lines = [f"usage: {' '.join((PROGRAM, *path))} VERB [flags]", ""]
    lines += [f"  {' '.join(entry.words):{width}}  {entry.summary}" for entry in entries]
    lines += ["", f"{PROGRAM} VERB --help explains the flags of a verb; {PROGRAM} --version prints the version.",
              "RECGYM_DEBUG=1 in the environment shows the traceback of an error."]  # fmt: skip
    return "\n".join(lines)


def _complain(sentence: str, status: int = WRONG_USAGE) -> int:
    """Say one thing on one line of stderr, whatever line breaks a library put into it."""
    print(f"{PROGRAM}: {' '.join(sentence.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
