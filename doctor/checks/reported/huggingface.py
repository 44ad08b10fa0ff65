"""Error lines of Hugging Face packages that do not fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.reported.rules import check_of, finding_of
from doctor.checks.requirements import HF_STACK
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of

_TORCH_FAMILY = frozenset({"torchvision", "torchaudio"})


def _run(facts: Facts) -> Iterator[Finding]:
    said = facts.message("import-name") or facts.message("requires")
    if said is not None:
        yield _conflict(facts, said)
    caused = facts.message("conflict-caused-by")
    if caused is not None and said is None:
        yield _conflict(facts, caused)
    pip = facts.message("pip-conflict")
    if pip is not None:
        yield _of_pip(facts, pip)


def _conflict(facts: Facts, said: Message) -> Finding:
    values = said.values
    package = values.get("package", "diffusers").split(".")[0].lower().replace("_", "-")
    name = values.get("name")
    shown = package.replace("-", "_") if name else package
    what = name or f"{values.get('wanted', '')} is asked for, {values.get('found', 'another')} is there"
    if not values.get("name") and "wanted" not in values:
        what = values.get("package", "")
    versions = {f"packages.{p.name}": p.version for p in facts.packages or () if p.name in HF_STACK}
    return finding_of(
        "hf-version-conflict",
        said,
        f"{shown} does not fit the packages that use it: {what}.",
        "One of the Hugging Face packages (diffusers, transformers, huggingface_hub, accelerate, peft) "
        "was upgraded or held "
        "back without the others.",
        _together(facts, name, values.get("wanted"), package),
        evidence=dict(versions),
    )


def _together(facts: Facts, name: str | None, wanted: str | None, package: str) -> Remedy:
    pip = pip_of(facts)
    upgrade = f"{pip} install --upgrade diffusers transformers accelerate huggingface_hub peft"
    if name == "cached_download":
        return Remedy(
            "Upgrade diffusers to 0.29 or newer; or, for a program that pins an old one, keep "
            "huggingface_hub below 0.26, "
            "which took cached_download out.",
            (f"{pip} install --upgrade diffusers", f'{pip} install "huggingface_hub<0.26"'),
        )
    if wanted:
        exact = f'{pip} install "{package}{wanted.strip()}"'
        return Remedy("Install the version that is asked for, or upgrade them together.", (exact, upgrade))
    return Remedy(
        "Upgrade them together; for a program that pins versions, reinstall its requirements.txt.", (upgrade,)
    )


def _of_pip(facts: Facts, pip: Message) -> Finding:
    values = pip.values
    owner, package = (values[key].lower().replace("_", "-") for key in ("owner", "package"))
    cause_id = "requirement-conflict"
    if owner in _TORCH_FAMILY and package == "torch":
        cause_id = "torchvision-mismatch"
    elif owner == "xformers" and package == "torch":
        cause_id = "xformers-mismatch"
    elif owner in HF_STACK and package in HF_STACK:
        cause_id = "hf-version-conflict"
    wanted = values.get("wanted", "").strip()
    return finding_of(
        cause_id,
        pip,
        f"{owner} {values.get('owner_version', '')} requires {package}{wanted}, but "
        f"{values.get('found', '')} is installed.",
        "pip replaced one package without minding the other, and says so after it did.",
        Remedy(
            f"Upgrade {owner}, or install the {package} that it asks for.",
            (f"{pip_of(facts)} install --upgrade {owner}", f'{pip_of(facts)} install "{package}{wanted}"'),
        ),
        severity=Severity.WARNING if cause_id == "requirement-conflict" else Severity.ERROR,
    )


CHECK = check_of(
    "huggingface",
    "Do the error lines blame versions that do not fit each other?",
    {
        "hf-version-conflict": "diffusers, transformers, huggingface_hub, accelerate or peft do not fit "
        "each other.",
        "requirement-conflict": "pip says that a package requires another version than is installed.",
        "torchvision-mismatch": "pip says that torchvision or torchaudio wants another torch.",
        "xformers-mismatch": "pip says that xformers wants another torch.",
    },
    (
        "github.com/easydiffusion/easydiffusion/issues/1851",
        "github.com/huggingface/diffusers/issues/12746",
        "github.com/mit-han-lab/distrifuser/issues/24",
    ),
    run=_run,
)
