"""``python -P -m doctor.checks > docs/checks.md`` writes the catalogue of checks."""

from __future__ import annotations

import sys

from doctor.checks import CHECKS
from doctor.checks.catalogue import catalogue

if __name__ == "__main__":
    sys.stdout.write(catalogue(CHECKS))
