"""A machine that is not there, and a feed of the monitor screen that says what a test wants."""

from __future__ import annotations

from written_traces import sample

from doctor.telemetry.processes import ProcessRow
from doctor.telemetry.sample import DiskSample, GpuProcess, GpuSample, NetworkSample, Throttling

CARD = GpuSample(
    index=0,
    name="NVIDIA GeForce RTX 3090",
    utilization=97.0,
    memory_activity=61.0,
    memory_used=9 << 30,
    memory_total=24 << 30,
    processes=(GpuProcess(pid=12, name="python", memory_used=8 << 30),),
    power=341.0,
    power_limit=350.0,
    clock=1740.0,
    clock_max=2100.0,
    memory_clock=9751.0,
    temperature=71.0,
    throttle_reasons=("power cap",),
    throttling=Throttling(power_cap=12.0, software_thermal=0.0),
    pcie_received=2.5e8,
    pcie_sent=1.0e6,
    pcie_generation=4,
    pcie_width=16,
)
ROWS = (
    ProcessRow(pid=1, name="init", user="root", cpu_percent=0.0, resident=12 << 20, started=1.0, threads=1),
    ProcessRow(
        pid=12,
        parent=1,
        name="python",
        user="ann",
        command="python main.py --listen",
        cpu_percent=104.0,
        resident=3 << 30,
        started=2.0,
        threads=31,
        niceness=0,
        state="R",
        cpu_seconds=4000.0,
    ),
    ProcessRow(
        pid=13, parent=12, name="cc1plus", user="bob", cpu_percent=55.0, resident=400 << 20, started=3.0
    ),
)


class Playing:
    """A feed that says what the test wants."""

    def __init__(self):
        self.pid = None
        self.lists = True
        self.listener = None
        self.closed = False

    def start(self, listener):
        self.listener = listener

    def watch(self, pid):
        self.pid = pid

    def close(self):
        self.closed = True

    def join(self, seconds):
        pass


def machine(number, **changes):
    return sample(
        number,
        **(
            {
                "gpus": (CARD,),
                "process": None,
                "process_cpu_percent": None,
                "process_rss": None,
                "worker": None,
                "cpu_percent": 30.0 + number,
                "disks": (DiskSample(name="nvme0n1", read=3e7, written=1e6, busy_percent=20.0),),
                "networks": (NetworkSample(name="eth0", received=5e5, sent=1e4),),
            }
            | changes
        ),
    )
