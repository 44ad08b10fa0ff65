"""Is this Python one that torch has wheels for?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, known, require
from doctor.compat import TORCH_RELEASES, minor_release
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity


def run(facts: Facts) -> Iterator[Finding]:
    """Judge ``facts.python`` against the wheels that exist."""
    python = facts.python
    version = require(python.version, "python.version")
    if python.bits == 32:
        yield Finding(
            id="python-32bit",
            severity=Severity.ERROR,
            title="This is a 32-bit Python, and torch exists for 64-bit only.",
            evidence={"python.bits": 32, "python.version": version},
            cause="pip finds no torch for it, and says only 'No matching distribution found'.",
            remedy=Remedy("Install a 64-bit Python 3.11 to 3.13 and make a new virtual environment with it."),
        )
    have = minor_release(version)
    newest = TORCH_RELEASES[-1]
    oldest_python, newest_python = (minor_release(bound) for bound in newest.python)
    if not known(facts, "torch"):
        return
    if facts.torch is not None or have is None or oldest_python is None or newest_python is None:
        return
    if have > newest_python or have < (3, 10):
        yield Finding(
            id="python-no-wheel",
            severity=Severity.ERROR,
            title=f"There is no torch wheel for Python {have[0]}.{have[1]}.",
            evidence={"python.version": version, "torch wheels": f"Python 3.10 to {newest.python[1]}"},
            cause="torch is published for a range of Python versions, and pip offers nothing outside of it.",
            remedy=Remedy("Make a virtual environment with Python 3.11, 3.12 or 3.13 and install there."),
        )


CHECK = Check(
    name="python",
    title="Is this a Python that torch has wheels for?",
    needs=("python.version",),
    causes={
        "python-32bit": "A 32-bit Python: torch exists for 64-bit only.",
        "python-no-wheel": "torch is missing, and this Python version has no wheel of it.",
    },
    run=run,
    sources=(
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/9321",
        "pypi.org/project/torch (Requires-Python and wheel tags)",
    ),
)
