"""Whether plan's "fits" and "does not fit" are what really happened on published cards.

    cd tests && python -m benchmarks.fits_published

Every combination that gperdrizet/unit-6-assignments ran on a GTX 1070 of 8 GB and a Tesla P100 of 16 GB
(docs/data/*/benchmark_results.json): 512x512 in fp16, three ways of offloading. Prints a Markdown table and how many agree.
Left out are three that failed with sequential offload, whose parts on the card take less than 1.6 GiB, while some 15 GiB
were allocated: most likely by the mode that had failed before them. SD 3.5 large turbo is built like SD 3.5 large.
"""

from __future__ import annotations

from doctor.cards import find_card
from doctor.errors import UsageError
from doctor.sizes import gib
from tuner.device_model import device_of_card
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.predict import predict
from tuner.settings import Settings

SIZE = 512
MODES = ("none", "model", "sequential")
RAN: dict[str, dict[str, tuple[bool | None, ...]]] = {
    "GTX 1070": {
        "sd15": (True, True, True),
        "sd21": (True, True, True),
        "sdxl": (False, True, True),
        "sdxl-turbo": (False, True, True),
        "sd35-medium": (False, False, None),
        "sd35-large": (None, False, True),
        "kandinsky22": (False, True, True),
        "flux-schnell": (False, False, None),
    },
    "Tesla P100": {
        "sd15": (True, True, True),
        "sd21": (True, True, True),
        "sdxl": (True, True, True),
        "sdxl-turbo": (True, True, True),
        "sd35-medium": (False, True, True),
        "sd35-large": (False, False, None),
        "kandinsky22": (True, True, True),
        "pixart-sigma": (True, True, True),
        "flux-schnell": (False, False, None),
    },
}
"""Card, model, and whether it ran without offload, with model and with sequential offload; None: not told, or not clear."""


def main() -> None:
    """Predict each and print it."""
    print("| card | model | offload | predicted on the card | plan says | it |\n|---|---|---|---|---|---|")
    agree = total = 0
    with Oracle() as oracle:
        for name, models in RAN.items():
            card = find_card(name)
            if card is None:
                raise UsageError(f"There is no card '{name}'.")
            for model, ran in models.items():
                for mode, really in zip(MODES, ran, strict=True):
                    if really is None:
                        continue
                    settings = Settings(precision="fp16", offload=mode)
                    ask = Ask(model=f"builtin:{model}", settings=settings, width=SIZE, height=SIZE)
                    row = predict(oracle.ask(ask), settings, device_of_card(card))
                    says, was = (
                        ("fits" if row.fits else "too much"),
                        ("ran" if really else "ran out of memory"),
                    )
                    taken = gib(row.peak_device_bytes)
                    print(f"| {name} | {model} | {mode} | {taken} | {says} | {was} |", flush=True)
                    agree, total = agree + (row.fits is really), total + 1
    print(f"\n{agree} of {total} agree.")


if __name__ == "__main__":
    main()
