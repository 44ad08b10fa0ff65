"""Python itself, pip, and which Python a package went into."""

from __future__ import annotations

from doctor.reports.patterns.row import Row

_HEAVY = (
    r"torch|torchvision|torchaudio|xformers|triton|tensorflow|onnxruntime[\w-]*|bitsandbytes"
    r"|nvidia-\w+[\w-]*"
)

ROWS: tuple[Row, ...] = (
    Row("install-failed", rf"satisfies the requirement (?P<package>{_HEAVY})"
        r"(?:[<>=!~]=?(?P<version>[\w.+*]+))?[^(]{0,40}(?:\(from versions: (?P<offered>[^)]*)|$)"),
    Row("install-failed", r"Couldn't install torch|No matching distribution found for"
        rf" (?P<package>{_HEAVY})(?:[<>=!~]=?(?P<version>[\w.+*]+))?"),
    Row("wheel-platform", r"(?P<wheel>[\w.+-]+\.whl) is not a supported wheel on this platform"),
    Row("python-required", r"requires a different Python: (?P<found>[\d.]+) not in '(?P<wanted>[^']+)'"
        r"|Package '?(?P<package>[\w.-]+)'? requires Python (?P<wanted2>[<>=!~\d., ]+)"
        r"|Incompatible Python version:? (?:detected:? )?(?P<found2>[\d.]+) required (?P<wanted3>[\d.,x ]+)"
        r"|Requires-Python (?P<wanted4>[<>=!~\d.,]+)"),
    Row("incompatible-python", r"INCOMPATIBLE PYTHON VERSION"
         r"|tested with 3\.10\.\d+ Python, but you have (?P<found>[\d.]+)"),
    Row("foreign-pip", r"(?:portable|python_embed).{0,160}>\s*(?:pip3?|python3?(?:\.exe)? -m pip) install"
        r"|^PS? ?[A-Z]:\\.{0,120}(?:venv|portable|ComfyUI)\S*>\s*pip3? install",
        unless=r"^\s*\(\w+\)|python_embed\w*[\\/]python(?:\.exe)? "),
    Row("user-install", r"Defaulting to user installation because normal site-packages is not writeable"),
    Row("externally-managed", r"externally-managed-environment"),
    Row("venv-missing", r"ensurepip is not available|No module named venv|python3-venv package"),
    Row("pip-in", r"Requirement already satisfied: (?P<package>[\w.\[\]-]+)\S* in"
         r" (?P<path>\S.*?site-packages)"),
    Row("pip-wheel", r"(?:Downloading|Using cached) \S+-cp3(?P<minor>\d{1,2})-"),
    Row("no-module", r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<module>[\w.]+)'?"),
    Row("build-tools", r"Microsoft Visual C\+\+ 14\.0 or greater is required"
         r"|error: command '(?:/usr/bin/)?(?:gcc|cl\.exe|g\+\+|x86_64-linux-gnu-gcc)'"
        r" failed|CUDA_HOME environment variable is not set|nvcc(?:'|\") failed"
        r"|No such file or directory: '\S*nvcc"),
    Row("cuda-build-mismatch", r"detected CUDA version \((?P<found>[\d.]+)\) mismatches the version that"
         r" was used to compile"
        r"\s*PyTorch \((?P<wanted>[\d.]+)"),
    Row("pip-ssl", r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError"
         r"|certificate verify failed"),
    Row("pip-conflict", r"(?P<owner>[\w-]+) (?P<owner_version>\d[\w.+]*) requires"
         r" (?P<package>[\w-]+)(?:\[[\w,]+\])?"
        r"(?P<wanted>[<>=!~][^;]*?)(?:; [^,]*)?, but you have (?P=package) (?P<found>\d[\w.+-]*) which is"
        r" incompatible"),
)  # fmt: skip
