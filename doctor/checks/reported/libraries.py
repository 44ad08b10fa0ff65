"""Error lines about shared libraries: CUDA's own, the C runtime, the system's."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of, is_windows
from doctor.facts import Facts, Message
from doctor.finding import Remedy
from doctor.remedies import pip_of


def _again(facts: Facts, _message: Message) -> Remedy:
    return Remedy(
        "Install torch again with its CUDA libraries, which pip brings along (nvidia-* packages).",
        (f"{pip_of(facts)} install --force-reinstall torch torchvision",),
    )


def _glibc(_facts: Facts, message: Message) -> str:
    wanted = message.values.get("wanted") or message.values.get("cxx") or ""
    return f"The system's C library is older than the program needs ({wanted})."


_RULES = (
    Rule(kind="library-clash", id="cuda-library-clash", title="Another CUDA or cuDNN is loaded in place "
         "of torch's own.",
         cause="torch brings its CUDA libraries, but a folder on LD_LIBRARY_PATH (or PATH) with a "
              "system-wide CUDA comes first. "
         "Two versions in one program do not fit.",
         remedy=lambda facts, _message: Remedy(
             "Take the CUDA folders out of PATH, or rename the stray "
             "cudnn*.dll.", ("where cudnn64_9.dll", "where cudart64_12.dll"),
         ) if is_windows(facts) else Remedy(
             "Start without the variable; for good, take the entry out of ~/.bashrc.",
             ("unset LD_LIBRARY_PATH", f"{pip_of(facts)} list | grep -i nvidia"))),
    Rule(kind="library-missing", id="cuda-library-missing",
         title=lambda _facts, message: f"The CUDA library {message.values.get('library', '')} is not "
              f"found.",
         cause="A package was built for another CUDA major version, or torch's CUDA packages were removed. "
         "The number after .so is the CUDA or cuDNN version it wants.", remedy=_again),
    Rule(kind="msvc-runtime", id="msvc-runtime-missing",
         title="A library of torch does not load: the Visual C++ runtime (or libomp) is missing or old.",
         cause="torch's DLLs (c10.dll, fbgemm.dll) need Microsoft's Visual C++ 2015-2022 runtime for x64. "
              "Windows has it only "
         "if another program installed it.",
         remedy=Remedy("Install the redistributable and restart.",
                       ("winget install Microsoft.VCRedist.2015+.x64",))),
    Rule(kind="glibc-old", id="glibc-too-old", title=_glibc,
         cause="Wheels are built for a minimum version of glibc and libstdc++. An old distribution, or "
              "conda's own libstdc++, "
         "lies below it.",
         remedy=Remedy("Use a newer distribution or a container of one; with conda, update its runtime.",
                       ("conda install -c conda-forge libstdcxx-ng",))),
    Rule(kind="libgl-missing", id="system-library-missing", title="A library of the system that OpenCV "
         "needs is missing (libGL, glib).",
         cause="Slim images and servers come without graphics libraries. opencv-python wants them.",
         remedy=lambda facts, _message: Remedy(
             "Install them, or use opencv-python-headless.",
             ("sudo apt install libgl1 libglib2.0-0", f"{pip_of(facts)} install opencv-python-headless"))),
    Rule(kind="illegal-instruction", id="cpu-too-old", title="The processor lacks an instruction that the "
         "program uses.",
         cause="torch's libraries and some extensions are built for AVX2. An old processor, or a virtual "
              "machine that hides it, "
         "has none.",
         remedy=Remedy("Pass the host's processor through to the virtual machine (cpu type 'host'), or "
              "use a newer one.",
                       ("grep -o -m1 avx2 /proc/cpuinfo",))),
    Rule(kind="blocked-dll", id="dll-blocked", title="Windows' Smart App Control blocks a library of "
         "torch.",
         cause="Unsigned DLLs are refused by an application-control policy. torch's are not signed.",
         remedy=Remedy("Switch Smart App Control off (Windows Security, App and browser control), or ask "
              "the administrator.")),
)  # fmt: skip

CHECK = check_of(
    "libraries",
    "Do the error lines blame a shared library?",
    {
        "cuda-library-clash": "Another CUDA or cuDNN is loaded in place of torch's own.",
        "cuda-library-missing": "A CUDA library of another version is asked for and not there.",
        "msvc-runtime-missing": "The Visual C++ runtime is missing on Windows.",
        "glibc-too-old": "The system's C or C++ library is too old.",
        "system-library-missing": "A library of the system (libGL, glib) is missing.",
        "cpu-too-old": "The processor lacks an instruction set.",
        "dll-blocked": "Windows blocks a library by policy.",
    },
    (
        "github.com/pytorch/pytorch/issues/111469",
        "github.com/pytorch/pytorch/issues/131662",
        "github.com/Nerogar/OneTrainer/issues/487",
        "github.com/pytorch/pytorch/issues/140797",
    ),
    rules=_RULES,
)
