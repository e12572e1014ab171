"""`python -m bench run | peer | compare REV REV`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench.fanout import measure
from bench.measure import BenchError
from bench.report import conditions, table, write_results
from bench.sides import ROOT, Side, git, peer_side, revision_sides, tree_side

RESULTS = Path(__file__).with_name("RESULTS.md")


def parse(args: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="measure a fan-out of trivial tasks, cold and replayed"
    )
    parser.set_defaults(peer_jobs=None, revisions=[])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="this tree alone")
    peer = commands.add_parser("peer", help="this tree beside the existing package; writes bench/RESULTS.md")
    peer.add_argument("--peer-jobs", type=int, metavar="N", help="a smaller fan-out for the peer (default: the same)")
    compare = commands.add_parser("compare", help="revisions of this repository beside one another")
    compare.add_argument("revisions", nargs="+", metavar="REVISION")
    for command, repeats in ((run, 3), (peer, 1), (compare, 3)):
        command.add_argument("--jobs", type=int, default=5000, metavar="N", help="tasks in the fan-out (default: %(default)s)")
        command.add_argument("--repeats", type=int, default=repeats, metavar="K", help="cold runs (default: %(default)s)")
        command.add_argument("--replays", type=int, default=2, metavar="K", help="replays of each (default: %(default)s)")
    found = parser.parse_args(args)
    if min(found.jobs, found.repeats, found.replays, 1 if found.peer_jobs is None else found.peer_jobs) < 1:
        parser.error("numbers of jobs, repeats and replays begin at 1")
    return found


def version(side: Side) -> str:
    """Return what a side says of its version."""
    done = subprocess.run([str(side.program), "--version"], env=side.environ(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{side.program} --version ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def main(args: list[str]) -> None:
    """Measure what the command line asks for and print it.

    Raises:
        BenchError: something failed that would make the figures worthless.
    """
    asked = parse(args)
    said = conditions(" ".join(["python -m bench", *args]), asked.repeats, asked.replays)
    if asked.command == "compare":
        with revision_sides(asked.revisions) as sides:
            figures = measure([(side, asked.jobs) for side in sides], asked.repeats, asked.replays)
        print(f"{said}\n\n{table(figures)}")
        return
    ours = tree_side("ours", ROOT)
    if asked.command == "run":
        figures = measure([(ours, asked.jobs)], asked.repeats, asked.replays)
        print(f"{said}\n\n{table(figures)}")
        return
    peer = peer_side()
    # Asked before measuring: the answer also proves that both can start.
    changed = " with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    versions = {
        "ours": f"redun {version(ours)}, commit {git('rev-parse', '--short', 'HEAD')}{changed}",
        "peer": f"redun {version(peer)} (PyPI)",
    }
    figures = measure([(ours, asked.jobs), (peer, asked.peer_jobs or asked.jobs)], asked.repeats, asked.replays)
    write_results(RESULTS, figures, said, versions)
    print(RESULTS.read_text(), end="")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BenchError as error:
        sys.exit(f"bench: {error}")
