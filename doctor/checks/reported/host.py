"""Error lines about main memory, disk and the system's limits."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of, is_windows
from doctor.facts import Facts
from doctor.finding import Finding, Remedy

_PAGEFILE = Remedy(
    "Enlarge the page file: SystemPropertiesPerformance, Advanced, Virtual memory, 'System managed' or at "
    "least as large as "
    "main memory, on a drive with room. Close programs and restart.",
    ("SystemPropertiesPerformance.exe",),
)


def _run(facts: Facts) -> Iterator[Finding]:
    said = facts.message("pagefile")
    ram = facts.message("host-memory")
    if said is None and ram is not None and is_windows(facts):
        said = ram
    if said is not None:
        yield finding_of(
            "pagefile-too-small",
            said,
            "Windows' page file (paging file) is too small: main memory ran out, not video memory.",
            "Windows must be able to commit all that programs reserve, in memory and page file together. "
            "Loading torch or a "
            "model reserves gigabytes.",
            _PAGEFILE,
        )
    elif ram is not None:
        yield finding_of(
            "ram-exhausted",
            ram,
            "Main memory ran out (not video memory).",
            "Models pass through main memory while they load, and stay there with offload. A container "
            "may allow less than the "
            "machine has.",
            Remedy(
                "Close programs, add swap, load in half precision, or choose a smaller model.", ("free -h",)
            ),
        )


_RULES = (
    Rule(kind="killed", id="ram-exhausted", title="The system killed the program: main memory ran out.",
         cause="The kernel ends the largest process when memory is exhausted, in a container at the "
              "container's limit. It leaves no "
         "traceback.",
         remedy=Remedy("Add memory or swap, raise the container's limit (--memory), or choose a smaller "
              "model.",
                       ("sudo dmesg | grep -i -E 'oom|killed process'",))),
    Rule(kind="disk-full", id="disk-full", title="A disk is full: the model cache, the temporary folder "
         "or the output folder.",
         cause="Downloads go to HF_HOME and through the temporary folder, which may lie on a small disk. "
              "The disk you looked at may be "
         "another one.",
         remedy=lambda facts, _message: Remedy(
             "Free space, or move the cache.", ("hf cache ls", "set HF_HOME=D:\\hf") if is_windows(facts)
             else ("df -h ~/.cache /tmp", "export HF_HOME=/path/on/a/larger/disk"))),
    Rule(kind="shm", id="shm-too-small", title="Shared memory (/dev/shm) is too small.",
         cause="Containers get 64 MiB unless told otherwise. Data loaders pass pictures through it.",
         remedy=Remedy("Start the container with more.", ("docker run --shm-size=2g --gpus all IMAGE",))),
    Rule(kind="port-used", id="port-in-use", title="Another program, often a second start of the same, "
         "already uses the port.",
         cause="A web UI that still runs in the background holds it, and holds video memory too.",
         remedy=Remedy("End the other one, or choose another port (--port 7861).")),
    Rule(kind="long-path", id="long-paths-off", title="A path is longer than Windows allows.",
         cause="Windows stops at 260 characters unless long paths are switched on. Deep folders reach "
              "that.",
         remedy=Remedy("Install into a short path such as C:\\sd, or switch long paths on (as "
              "administrator).", (
             "reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem /v LongPathsEnabled /t "
             "REG_DWORD /d 1 /f",))),
    Rule(kind="dubious-ownership", id="git-ownership", title="git refuses to work in a folder that "
         "belongs to another user.",
         cause="The folder was made as administrator or on another system. git calls that dubious.",
         remedy=Remedy("Tell git that it is yours.", ('git config --global --add safe.directory "*"',))),
    Rule(kind="permission", id="no-permission", title="A file or folder may not be written.",
         cause="It belongs to another user or another program holds it open. Folders under 'Program "
              "Files' are protected.",
         remedy=Remedy("Install into your own folder, close programs that use the file, do not start as "
              "administrator.")),
)  # fmt: skip

CHECK = check_of(
    "host",
    "Do the error lines blame main memory, disk or the system?",
    {
        "pagefile-too-small": "Windows could commit no more memory.",
        "ram-exhausted": "Main memory ran out.",
        "disk-full": "A disk is full.",
        "shm-too-small": "Shared memory (/dev/shm) is too small.",
        "port-in-use": "The port is in use by another program.",
        "long-paths-off": "A path is longer than Windows allows.",
        "git-ownership": "git refuses to work in a folder of another user.",
        "no-permission": "A file or folder may not be written.",
    },
    (
        "github.com/Comfy-Org/ComfyUI/issues/7069",
        "github.com/huggingface/diffusers/issues/4957",
        "docs.docker.com/reference/cli/docker/container/run (--shm-size)",
        "learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation",
    ),
    rules=_RULES,
    run=_run,
)
