"""Error lines of flash-attn and SageAttention."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of, is_windows
from doctor.facts import Facts, Message
from doctor.finding import Remedy, Severity
from doctor.remedies import pip_of


def _flash(facts: Facts, _message: Message) -> str:
    torch = facts.torch.version if facts.torch else None
    return f"flash-attn was built for another torch than the installed {torch or 'one'}."


def _rebuild(facts: Facts, _message: Message) -> Remedy:
    pip = pip_of(facts)
    text = (
        "Remove it (torch's own attention does the work), or install the wheel for this torch, CUDA, Python"
    )
    if is_windows(facts):
        return Remedy(f"{text}.", (f"{pip} uninstall -y flash-attn",))
    build = f"{pip} install --force-reinstall --no-cache-dir --no-build-isolation --no-deps flash-attn"
    return Remedy(f"{text}, or build it again (second line).", (f"{pip} uninstall -y flash-attn", build))


def _sage(facts: Facts, _message: Message) -> Remedy:
    pip = pip_of(facts)
    extra = "triton-windows" if is_windows(facts) else "triton"
    return Remedy("Install it with triton, or start without the flag (--use-sage-attention, --sage).",
                  (f"{pip} install {extra} sageattention",))  # fmt: skip


_RULES = (
    Rule(kind="flash-attn", id="flash-attn-mismatch", title=_flash,
         cause="Its library asks for a symbol, or a CUDA runtime, that this torch does not have. Wheels "
              "fit one torch release and "
         "one C++ ABI.", remedy=_rebuild),
    Rule(kind="flash-attn-ampere", id="flash-attn-unsupported", title="flash-attn does not run on this "
         "card.",
         cause="FlashAttention 2 begins with Ampere (compute capability 8.0). Builds without code for RTX "
              "50 say the same.",
         remedy=Remedy("Choose torch's own attention (sdpa) in the program's settings.")),
    Rule(kind="flash-attn-missing", id="flash-attn-missing", severity=Severity.WARNING,
         title="flash-attn is asked for but not installed.",
         cause="Some models ask for it by name. torch's own attention contains the same kernels.",
         remedy=Remedy('Choose attn_implementation="sdpa", or install it (on Linux with a CUDA '
              'compiler).')),
    Rule(kind="sageattention", id="sageattention-broken", title="SageAttention is missing or does not fit "
         "this torch and card.",
         cause="It is compiled for one torch and CUDA and needs triton. The flag alone does not install "
              "it.", remedy=_sage),
)  # fmt: skip

CHECK = check_of(
    "attention",
    "Do the error lines blame an attention package?",
    {
        "flash-attn-mismatch": "flash-attn was built for another torch version or C++ ABI.",
        "flash-attn-unsupported": "flash-attn does not run on this card.",
        "flash-attn-missing": "flash-attn is asked for but not installed.",
        "sageattention-broken": "SageAttention is missing or does not fit.",
    },
    (
        "github.com/Dao-AILab/flash-attention/issues/931",
        "github.com/Dao-AILab/flash-attention/issues/762",
        "github.com/thu-ml/SageAttention/issues/7",
    ),
    rules=_RULES,
)
