"""What a latent looks like: linear maps from the channels of a VAE's latents to red, green and blue.

Each row is one channel, the values are for pictures from -1 to 1. A VAE is known by its number of channels
and its scaling factor. The maps are fits: right in colour, blurred, an eighth of the picture's side.
"""

from __future__ import annotations

from dataclasses import dataclass

Row = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Colours:
    """One map."""

    rows: tuple[Row, ...]
    bias: Row = (0.0, 0.0, 0.0)


_SD1 = Colours(
    # https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204/7, refitted values as in
    # invoke-ai/InvokeAI invokeai/app/util/step_callback.py
    (
        (0.3444, 0.1385, 0.0670),
        (0.1247, 0.4027, 0.1494),
        (-0.3192, 0.2513, 0.2103),
        (-0.1307, -0.1874, -0.7445),
    )
)
_SDXL = Colours(
    # invoke-ai/InvokeAI invokeai/app/util/step_callback.py
    (
        (0.3816, 0.4930, 0.5320),
        (-0.3753, 0.1631, 0.1739),
        (0.1770, 0.3588, -0.2048),
        (-0.4350, -0.2644, -0.4289),
    )
)
_SD3 = Colours(
    # invoke-ai/InvokeAI invokeai/app/util/step_callback.py (fitted for SD 3.5, whose VAE is SD 3's)
    (
        (-0.0524, 0.0325, 0.0749),
        (-0.0581, 0.0076, 0.0573),
        (0.1614, 0.0127, -0.0377),
        (0.1442, 0.0846, 0.1594),
        (0.0489, 0.0056, -0.0669),
        (0.0519, 0.1922, 0.0626),
        (0.1539, 0.0482, 0.0710),
        (-0.0860, 0.0901, 0.1089),
        (-0.1240, -0.0677, 0.0034),
        (-0.0440, 0.0783, 0.0226),
        (0.0310, 0.0638, 0.0775),
        (-0.0132, 0.0855, -0.0877),
        (0.0646, 0.0591, 0.1326),
        (-0.0786, -0.0226, -0.1276),
        (-0.0992, -0.0801, -0.0626),
        (-0.0339, -0.0804, -0.0608),
    )
)
_FLUX = Colours(
    # invoke-ai/InvokeAI invokeai/app/util/step_callback.py (FLUX.1; Z-Image and Chroma have the same VAE)
    (
        (-0.0412, 0.0149, 0.0521),
        (0.0056, 0.0291, 0.0768),
        (0.0342, -0.0681, -0.0427),
        (-0.0258, 0.0092, 0.0463),
        (0.0863, 0.0784, 0.0547),
        (-0.0017, 0.0402, 0.0158),
        (0.0501, 0.1058, 0.1152),
        (-0.0209, -0.0218, -0.0329),
        (-0.0314, 0.0083, 0.0896),
        (0.0851, 0.0665, -0.0472),
        (-0.0534, 0.0238, -0.0024),
        (0.0452, -0.0026, 0.0048),
        (0.0892, 0.0831, 0.0881),
        (-0.1117, -0.0304, -0.0789),
        (0.0027, -0.0479, -0.0043),
        (-0.1146, -0.0827, -0.0598),
    )
)
_TINY = Colours(
    # python -P tests/benchmarks/preview_factors.py
    (
        (0.1723, -0.3016, -0.7825),
        (0.1045, 0.2584, 0.2860),
        (0.4736, -0.0109, -0.2384),
        (0.1110, -0.0545, -0.2633),
    ),
    (0.1363, 0.0690, 0.0086),
)

_KNOWN = {
    (4, 0.18215): _SD1,
    (4, 0.13025): _SDXL,
    (16, 1.5305): _SD3,
    (16, 0.3611): _FLUX,
    (4, 1.0): _TINY,
}


def colours_of(channels: int | None, scaling_factor: float | None) -> Colours | None:
    """The map for such a VAE; None for one that is not known, which then has no preview."""
    if channels is None or scaling_factor is None:
        return None
    return _KNOWN.get((channels, round(scaling_factor, 5)))
