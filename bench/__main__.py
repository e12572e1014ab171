"""`python -m bench list | run | baseline | page | compare REV REV | peer`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import goals
from bench.baseline import BASELINE, Baseline
from bench.measure import BenchError
from bench.report import against_baseline, as_json, conditions, number, said, side_by_side
from bench.rounds import Found, measure
from bench.sides import KEEPS, REQUIREMENTS, ROOT, Side, git, other_side, revision_sides, tree_side
from bench.workload import KINDS, select, workloads

RESULTS = Path(__file__).with_name("RESULTS.md")
EXAMPLES = """examples:
  python -m bench list                                  what can be measured
  python -m bench run                                   all that is quick, beside the baseline and the goals
  python -m bench run fanout=20000 fib --rounds 5       two workloads, one with another size
  python -m bench run --all --format json               figures for a program
  python -m bench compare main HEAD -w fanout -w chain  two revisions in turn
  python -m bench baseline fanout                       measure and keep it in bench/BASELINE.json
  python -m bench peer                                  beside the existing package, joblib, dask and doit

A workload is measured in rounds; every side does one round in turn. Figures are medians. "Whole process" counts the start
of Python and the imports; "without start-up" leaves off what a run with nothing to do took in the same round.
"""


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure this tree, revisions of it, and other tools.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(all=False, rounds=None, format="table")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="show what can be measured")
    run = commands.add_parser("run", help="this tree, beside the baseline and the goals")
    baseline = commands.add_parser(
        "baseline", help="this tree; writes bench/BASELINE.json and the table in docs/performance.md"
    )
    commands.add_parser("page", help="measure nothing; make the table in docs/performance.md anew from the baseline")
    compare = commands.add_parser("compare", help="revisions of this repository beside one another")
    compare.add_argument(
        "revisions", nargs="+", metavar="REVISION", help="whatever git knows; `.` is this tree as it lies here"
    )
    compare.add_argument("-w", "--workload", dest="names", action="append", metavar="NAME[=SIZE]", help="default: fanout")
    peer = commands.add_parser("peer", help="this tree beside other tools; without names it writes bench/RESULTS.md")
    peer.add_argument("--beside", action="append", choices=list(REQUIREMENTS), help="one of them only; may be repeated")
    for command in (run, baseline, peer):
        command.add_argument("names", nargs="*", metavar="NAME[=SIZE]", help="workloads; default: all that are quick")
        command.add_argument("--all", action="store_true", help="those that are slow as well")
    for command in (run, baseline, compare, peer):
        word = ("--rounds", "--repeats") if command is compare else ("--rounds",)
        command.add_argument(*word, type=_positive, metavar="K", help="rounds; default: as many as each workload needs")
    for command in (run, compare, peer):
        command.add_argument("--format", choices=("table", "json"), default="table", help="default: %(default)s")
    return parser.parse_args(args)


def show_list() -> None:
    """Print all workloads."""
    known = workloads()
    width = max(map(len, known))
    for kind in KINDS:
        print(f"{kind}{' (by name only)' if kind == 'giant' else ''}:")
        for found in known.values():
            if found.kind == kind:
                also = f"; also {', '.join(found.sides)}" if found.sides else ""
                print(f"  {found.name:{width}}  {found.title} (N = {found.size:,}{also})")


def here() -> str:
    """Return this tree's commit."""
    changed = " with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return git("rev-parse", "--short", "HEAD") + changed


def results(found: Sequence[Found], where: dict[str, str], names: Sequence[str]) -> str:
    """Return the page of results."""
    lines = [f"- ours: commit {where['commit']}; keeps results and call graph"]
    lines += [f"- {name}: {REQUIREMENTS[name]} (PyPI); keeps {KEEPS[name]}" for name in names if name in REQUIREMENTS]
    return (
        "# Results\n\n"
        "Written by `make bench-peer`; do not edit. Every process is measured whole, as a user starts it, with its log going to a\n"
        'file; the sides take turns. "Without start-up" leaves off what a run with nothing to do took in the same round. Timings on a\n'
        "shared machine are noisy: only the ratios of one table mean anything. What is run: `bench/flows/`, and `bench/tools/` for\n"
        "tools that are no redun. What keeps nothing has to do all of it again.\n\n"
        + "\n".join(lines)
        + f"\n\n{said(where)}\n\n{side_by_side(found)}\n"
    )


def main(args: Sequence[str]) -> None:
    """Measure what the command line asks for and print it.

    Raises:
        BenchError: something failed that would make the figures worthless.
    """
    asked = parse(args)
    if asked.command == "list":
        show_list()
        return
    if asked.command == "page":
        goals.write(Baseline())
        return
    where = conditions(" ".join(["python -m bench", *args]))
    names = asked.names or []
    if asked.command == "compare":
        chosen = select(names or ["fanout"])
        with revision_sides(asked.revisions) as sides:
            found = measure(chosen, sides, asked.rounds)
        print(as_json(found, where) if asked.format == "json" else f"{said(where)}\n\n{side_by_side(found)}")
        return
    where["commit"] = here()
    ours = tree_side("ours", ROOT)
    if asked.command == "peer":
        beside(ours, asked, where)
        return
    chosen = select(names, asked.all)
    baseline = Baseline()
    found = measure(chosen, [ours], asked.rounds)
    if asked.command == "baseline":
        baseline.keep(found, where)
        goals.write(baseline)
        print(f"kept {', '.join(entry.workload.name for entry in found)} in {BASELINE.relative_to(ROOT)}")
    elif asked.format == "json":
        print(as_json(found, where, baseline))
    else:
        reference = number(found[-1].reference_s() * 1e3, "ms")
        print(f"{said(where)}; commit {where['commit']}; reference {reference}\n\n{against_baseline(found, baseline)}")


def beside(ours: Side, asked: argparse.Namespace, where: dict[str, str]) -> None:
    """Measure this tree beside other tools and write the page of results."""
    chosen = [(workload, size) for workload, size in select(asked.names, asked.all, beside=True) if workload.sides]
    if not chosen:
        raise BenchError(f"no other tool can do {' or '.join(asked.names)}: `python -m bench list` tells who can do what")
    chosen.sort(key=lambda each: each[0].name != "fanout")
    sides = [ours, *[other_side(name) for name in asked.beside or REQUIREMENTS]]
    found = measure(chosen, sides, asked.rounds or 1)
    page = results(found, where, [side.name for side in sides])
    if not asked.names and not asked.beside:
        RESULTS.write_text(page)
    print(as_json(found, where) if asked.format == "json" else page.rstrip())


if __name__ == "__main__":
    # Told to end, it tidies up: scratch folders may hold gigabytes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(sys.argv[1:])
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("\nbench: interrupted")
