"""What was tried against the daemon, and what happened: a Markdown table.

    python tests/benchmarks/attacks.py [--fast]

Starts a daemon of its own on a Unix socket and a loopback port.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attacks import ATTACKS, attempt
from daemon_client import live_daemon


def main() -> int:
    """1 if anything came out otherwise than it has to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="without those that take a minute")
    options = parser.parse_args()
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="sd") as folder,
        live_daemon(Path(folder) / "h", tcp=True) as daemon,
    ):
        begin = daemon.memory
        print("| tried | what happened | answers honest requests after | memory |")
        print("|---|---|---|---|")
        for attack in ATTACKS:
            if attack.slow and options.fast:
                continue
            tried = attempt(daemon, attack)
            wrong += not tried.as_wanted
            mark = "" if tried.as_wanted else " **(not as wanted)**"
            print(
                f"| {attack.name} | {tried.outcome}{mark} | {tried.answered_in * 1000:.0f} ms | "
                f"{tried.grown / 2**20:+.1f} MiB |",
                flush=True,
            )
        print(
            f"\nMemory before {begin / 2**20:.1f} MiB, after {daemon.memory / 2**20:.1f} MiB; {wrong} not as wanted."
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
