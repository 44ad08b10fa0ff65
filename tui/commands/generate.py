"""``sdoctor generate``: make the picture with the tuned settings, and show what the machine does meanwhile."""

from __future__ import annotations

from typing import Annotated

import typer


def generate(
    prompt: Annotated[str | None, typer.Argument(help="What to draw.", show_default=False)] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="builtin:NAME, a diffusers folder, a .safetensors file, or a hub id."
        ),
    ] = "builtin:tiny",
    prompt_file: Annotated[
        str | None, typer.Option("--prompt-file", help="Read the prompt from a file; - for standard input.")
    ] = None,
    negative: Annotated[str | None, typer.Option("--negative", help="What not to draw.")] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="512 or 512x768 (default: the model's own).")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, max=1000, help="Denoising steps (default: the model's own, at most 30)."
        ),
    ] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", min=0, help="Guidance scale (default: the model's own).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Same seed, same picture (default: a random one).")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=64, help="Pictures to make at once.")] = 1,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="PNG file, or a folder (default: a new file here).")
    ] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="fp32, fp16 or bf16.")] = None,
    low_memory: Annotated[
        bool, typer.Option("--low-memory", help="Least memory, slower: on a GPU, sequential offload.")
    ] = False,
    settings: Annotated[
        str | None, typer.Option("--settings", help="name=value,... ; these beat the profile.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="Use at most this much: 4GiB, 6000MiB, 0.5.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    no_profile: Annotated[bool, typer.Option("--no-profile", help="Do not use what tune found.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Use the profile of another machine or of other versions.")
    ] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load weights that can run code.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the screen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a picture with the settings that tune found for this machine."""
    import secrets

    from doctor.sizes import parse_size
    from tui.decision import Asked, decide
    from tui.generating import run
    from tui.prompt import read_prompt
    from tui.situation import survey
    from tuner.generation import Wish

    width, height = parse_size(size) if size else (None, None)
    wish = Wish(
        prompt=read_prompt(prompt, prompt_file),
        negative_prompt=negative,
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        batch=batch,
    )
    situation = survey(model, device, memory, allow_pickle=allow_pickle)
    asked = Asked(
        precision=precision,
        low_memory=low_memory,
        settings=settings,
        use_profile=not no_profile,
        force=force,
    )
    decision = decide(situation, asked, wish)
    result = run(
        situation, decision, wish, output, allow_pickle=allow_pickle, plain=plain or as_json, quiet=as_json
    )
    if as_json:
        typer.echo(result.as_document())
    elif result.finished:
        typer.echo(result.as_lines())
    result.raise_if_failed()
