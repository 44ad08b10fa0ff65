"""Measurements that misbehave, for the child program: each function makes a module that can be imported."""

from __future__ import annotations

from pathlib import Path

from doctor.probes.catalogue import Probe

BODIES = {
    "fine": "say.value('speed', 2.5, 'GB/s', 'cpu'); say.note('word', 'yes')",
    "segfault": "say.value('speed', 1.0, 'GB/s'); say.during('the bad part'); import ctypes; ctypes.string_at(0)",
    "hang": "say.value('speed', 1.0, 'GB/s'); say.during('the endless part'); import time; time.sleep(600)",
    "garbage": "import os, sys; print('[1, 2'); os.write(1, b'{}\\n\\xff\\x00\\n[]\\n{\"value\": 3}\\n'); os._exit(0)",
    "exits": "import os, sys; print('last words', file=sys.stderr); sys.stderr.flush(); os._exit(1)",
    "raises": "raise ValueError('the file /home/ada/x is no good, hf_abcdefghijklmnop')",
    "chained": "try: 1 / 0\n    except ZeroDivisionError as first: raise RuntimeError('cannot') from first",
    "excused": "from doctor.probes.say import NotApplicable; raise NotApplicable('no such card')",
    "nan": "say.value('speed', float('nan'), 'GB/s'); say.value('size', 1e400, 'B'); say.value('good', 1, 'B')",
    "chatty": "print('a library talks'); print('{\"error\": \"not ours\"}'); say.value('speed', 1.0, 'GB/s')",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    "parent": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])",
    "clocked": "import time; a = time.monotonic(); time.sleep(0.3); say.value('from', a, 's');"
    " say.value('to', time.monotonic(), 's')",
}

AT_IMPORT = {
    "no_package": "import nothing_of_this_name",
    "dies_importing": "import ctypes; ctypes.string_at(0)",
}


def write_probes(folder: Path) -> Path:
    """Write the modules ``fake_<name>`` into ``folder``, which must then be on the children's PYTHONPATH."""
    for name, body in BODIES.items():
        (folder / f"fake_{name}.py").write_text(f"def measure(say):\n    {body}\n")
    for name, body in AT_IMPORT.items():
        (folder / f"fake_{name}.py").write_text(f"{body}\ndef measure(say):\n    pass\n")
    return folder


def fake(module: str, **fields) -> Probe:
    """A probe of one of these modules."""
    return Probe(
        **{"name": module, "doing": f"trying {module}", "module": f"fake_{module}", "deadline": 20.0} | fields
    )
