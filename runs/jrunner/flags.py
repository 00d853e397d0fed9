"""The flags of jrunner, and its help."""

from __future__ import annotations

import argparse

_DESCRIPTION = """\
Copies the rows of a source query into a table, with their exact values and in one transaction.
The destination table is created from the query's types when it does not exist."""
_EPILOG = """\
passwords: -scp and -dcp take $NAME (the value of that environment variable; write '$NAME' in quotes, or your shell
puts the value itself into the arguments) or - (one line of standard input each, the source's first; prompted for when
standard input is a terminal). A password written out is visible to every user of this machine.

output: JSON lines on standard output (route, progress, waiting, warning, then done or error), a log on standard error;
with -f rows on standard output. Exit code 0 done, 1 failed, 2 usage error, 130 cancelled."""


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runs.jrunner",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--job", choices=["-"], help="read everything as a JSON job from standard input instead of flags"
    )
    parser.add_argument(
        "--load",
        nargs=2,
        metavar=("SOURCE", "DESTINATION"),
        help="with --job: kinds of the two systems, whose drivers are loaded before the job arrives",
    )
    parser.add_argument("-scu", metavar="URL", help="source: JDBC URL, the system's own URL, or a file")
    parser.add_argument("-scn", metavar="NAME", default="", help="source: username")
    parser.add_argument("-scp", metavar="PASSWORD", default="", help="source: password, as $NAME or - (see below)")
    parser.add_argument("-dcu", metavar="URL", help="destination: URL")
    parser.add_argument("-dcn", metavar="NAME", default="", help="destination: username")
    parser.add_argument("-dcp", metavar="PASSWORD", default="", help="destination: password, as $NAME or -")
    parser.add_argument("-sq", metavar="FILE", help="file with the source query")
    parser.add_argument("-dt", metavar="TABLE", help="destination table, as schema.table")
    parser.add_argument("-t", action="store_true", help="trim trailing blanks from text")
    parser.add_argument("-c", action="store_true", help="clear the table first, in the same transaction")
    parser.add_argument("-f", choices=["csv", "tsv", "json"], help="print the rows instead of writing them")
    parser.add_argument("--strip-nul", action="store_true", help="remove NUL bytes from text instead of failing")
    return parser


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the flags. Exits with code 2 if they are invalid, or do not describe a transfer."""
    parser = argument_parser()
    options = parser.parse_args(arguments)
    needed = () if options.job else ("scu", "sq") if options.f else ("scu", "sq", "dcu", "dt")
    if missing := [f"-{name}" for name in needed if not getattr(options, name)]:
        parser.error(f"{', '.join(missing)} needed")
    return options
