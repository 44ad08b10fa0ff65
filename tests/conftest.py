"""What holds for every test: Ctrl-C reaches the programs that they start, threads leave the cores to whoever computes, and
no example of a property test has a deadline, since the machine may be busy.

libgomp's waiting threads spin, which makes a picture of 0.7 s take up to 16 s as soon as another program runs
(docs/performance.md); sdoctor keeps its workers from it, and the tests that draw in their own process need the same. libgomp
reads this when torch is loaded, so it stands before every import of a test.
"""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# A shell without a terminal starts what runs in its background with Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "1000"

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
