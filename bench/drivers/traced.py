"""Run `redun` with its memory traced; arguments: a file for what was found, then those of `redun`.

When the evaluation has come to its end, and before it is let go of, what is alive is counted by the file whose code made it
(`tracemalloc`): bytes and blocks. The time that such a run takes means nothing.
"""

import json
import sys
import tracemalloc
from typing import Any


def main() -> None:
    """Measure."""
    out = sys.argv[1]
    del sys.argv[1]
    sys.argv[0] = "redun"
    from redun.cli.main import main as redun
    from redun.evaluation.evaluation import Evaluation

    run = Evaluation.run

    def traced(evaluation: Evaluation, expr: Any) -> Any:
        tracemalloc.start()
        try:
            return run(evaluation, expr)
        finally:
            found = tracemalloc.take_snapshot().statistics("filename")
            tracemalloc.stop()
            with open(out, "w") as file:
                json.dump([[item.traceback[0].filename, item.size, item.count] for item in found], file)

    Evaluation.run = traced  # type: ignore[assignment,method-assign]
    sys.exit(redun())


main()
