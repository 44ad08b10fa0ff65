"""What a start costs, in CPU time, against `python -c "import typer"`, side by side.

    cd tests && python -m benchmarks.startup [--rounds 9]

Prints a Markdown table. CPU time counts user and system time of the process and of the children it waited for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

from cpu_time import medians, sdoctor_command, side_by_side

_EMPTY = "import typer; app = typer.Typer(); app.command()(lambda: None); app(args=[], standalone_mode=False)"
BASE = 'python -c "import typer"'


def commands() -> dict[str, list[str]]:
    """What is compared."""
    return {
        BASE: [sys.executable, "-P", "-c", "import typer"],
        "an empty typer command": [sys.executable, "-P", "-c", _EMPTY],
        "sdoctor --help": sdoctor_command("--help"),
        "sdoctor check --no-live": sdoctor_command("check", "--no-live"),
        "sdoctor monitor --once": sdoctor_command("monitor", "--once"),
        "python -m torch.utils.collect_env": [sys.executable, "-P", "-m", "torch.utils.collect_env"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = side_by_side(commands(), options.rounds, SDOCTOR_HOME=home)
    middle = medians(found)
    print(f"| command | CPU seconds, median of {options.rounds} | against `import typer` |")
    print("|---|---|---|")
    for name, seconds in middle.items():
        print(f"| `{name}` | {seconds:.3f} | {seconds / middle[BASE]:.1f} |")


if __name__ == "__main__":
    main()
