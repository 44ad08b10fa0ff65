"""Imports a package and tells how long it took; an error that it raises is the answer."""

from __future__ import annotations

import importlib
import importlib.util
import time

from doctor.probes.say import NotApplicable, Say


def time_import(say: Say, package: str, *names: str) -> None:
    """Import ``package`` and fetch ``names`` from it, which lazy packages load only then."""
    if importlib.util.find_spec(package) is None:
        raise NotApplicable(f"{package} is not installed")
    say.during(f"importing {package}")
    wall, work = time.perf_counter(), time.process_time()
    module = importlib.import_module(package)
    for name in names:
        getattr(module, name)
    say.value("import", time.perf_counter() - wall, "s")
    # Other probes run beside this one: the processor time is what the import itself takes.
    say.value("import_cpu", time.process_time() - work, "s")
    say.note("version", str(getattr(module, "__version__", "unknown")))
