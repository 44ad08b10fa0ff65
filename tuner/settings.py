"""Settings (how the pipeline is set up) and Request (what to make): two types, never one bag."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

from doctor.errors import UsageError

DECODERS = ("vae", "movq", "vqgan")
"""Names that pipelines give to the model that makes pictures of latents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The value of every knob. The names and values are the same in commands, JSON and profiles.

    Defaults are what diffusers does when nothing is asked of it.
    """

    precision: str = "fp32"
    vae_precision: str = "same"
    text_precision: str = "same"
    offload: str = "none"
    attention: str = "sdpa"
    vae_slicing: str = "off"
    vae_tiling: str = "off"
    memory_format: str = "contiguous"
    compile: str = "none"
    weights: str = "native"
    fused_qkv: str = "off"
    step_cache: str = "none"
    fewer_steps: str = "off"
    tf32: str = "off"
    cudnn_benchmark: str = "off"
    threads: int | None = None
    """CPU threads that torch computes with; None leaves torch's own choice."""

    def precision_of(self, component: str) -> str:
        """The number format that a component of that name is loaded in."""
        own = "same"
        if component in DECODERS:
            own = self.vae_precision
        elif component.startswith("text_encoder"):
            own = self.text_precision
        return self.precision if own == "same" else own

    def narrowest_precision(self) -> str:
        """Of the number formats of its components one with the fewest bytes."""
        formats = {self.precision_of(name) for name in ("unet", "vae", "text_encoder")}
        return min(formats, key=lambda name: (name == "fp32", name))

    def but(self, **changes: str | int | None) -> Self:
        """These settings with some of them changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # the field types differ, the names are checked

    def as_the_models_see_them(self) -> Self:
        """Without what leaves the work of the models as it is: where they run and how a device computes a product."""
        attention = self.attention
        if attention.startswith("sdpa-"):
            # Which kernel is the device's matter too, except that one of them writes the matrix of scores.
            attention = "_native_math" if attention == "sdpa-math" else "sdpa"
        return self.but(
            offload="none",
            threads=None,
            compile="none",
            step_cache="none",
            fewer_steps="off",
            attention=attention,
            tf32="off",
            cudnn_benchmark="off",
        )

    def differences(self, other: Settings) -> dict[str, str | int | None]:
        """The names whose value here differs from ``other``, with the value here."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) != getattr(other, item.name)
        }

    def text(self) -> str:
        """Compact form for people: precision always, the rest where it differs from diffusers' defaults."""
        changed = self.differences(Settings(precision=self.precision))
        return ", ".join([self.precision, *(_WORDS[name].format(value) for name, value in changed.items())])


_WORDS = {
    "vae_precision": "VAE in {}",
    "text_precision": "text encoders in {}",
    "offload": "{} offload",
    "attention": "{} attention",
    "vae_slicing": "VAE slicing",
    "vae_tiling": "VAE tiling",
    "memory_format": "{}",
    "compile": "compiled by {}",
    "weights": "{} weights",
    "fused_qkv": "fused QKV",
    "step_cache": "{} cache",
    "fewer_steps": "{} of the steps",
    "tf32": "TF32",
    "cudnn_benchmark": "cuDNN benchmark",
    "threads": "{} threads",
}


def setting_names() -> tuple[str, ...]:
    """All names that a setting can have."""
    return tuple(item.name for item in fields(Settings))


def parse_settings(text: str) -> dict[str, str | int | None]:
    """Read "precision=fp16,vae_tiling=on"; returns the named values only.

    The values are checked by the knobs (``tuner.knobs``), which know the device. Raises UsageError
    for a name that does not exist or an entry without a value.
    """
    found: dict[str, str | int | None] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise UsageError(f"'{part}' is not a setting; write name=value, for example precision=fp16.")
        if name not in setting_names():
            raise UsageError(f"There is no setting '{name}'; the names are {', '.join(setting_names())}.")
        if name == "threads":
            if not value.isdigit() or int(value) == 0:
                raise UsageError(f"threads={value} is not a number of threads; write for example threads=8.")
            found[name] = int(value)
        else:
            found[name] = value.lower()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to make. Sizes in pixels."""

    prompt: str
    width: int
    height: int
    steps: int
    negative_prompt: str | None = None
    guidance: float | None = None
    """Classifier-free guidance scale; None leaves the pipeline's own default."""
    seed: int = 0
    batch: int = 1
