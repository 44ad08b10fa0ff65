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
    preview: Annotated[
        bool | None,
        typer.Option(
            "--preview/--no-preview",
            help="Look at the picture as it forms (default: on the screen; with --plain, as a file beside it).",
            show_default=False,
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the pictures that were made, newest first, and draw nothing.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the screen.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a picture with the settings that tune found for this machine.

    On a terminal this opens a screen, where further pictures can be ordered; without a prompt it begins with an empty box.
    """
    if listed:
        from tui.gallery import as_document, as_lines, gallery

        typer.echo(as_document(gallery()) if as_json else as_lines(gallery()))
        return

    from doctor.sizes import parse_size
    from tui.generate_run import Call, run
    from tui.orders import Order
    from tui.workshop import Bench
    from tuner.generation import Wish

    width, height = parse_size(size) if size else (None, None)
    typed = [settings or "", f"precision={precision.lower()}" if precision else ""]
    wish = Wish(
        prompt=prompt or "",
        negative_prompt=negative,
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        batch=batch,
    )
    bench = Bench(
        device=device,
        memory=memory,
        allow_pickle=allow_pickle,
        output=output,
        low_memory=low_memory,
        use_profile=not no_profile,
        force=force,
    )
    run(
        Call(
            order=Order(model=model, wish=wish, settings=",".join(filter(None, typed))),
            bench=bench,
            has_prompt=prompt is not None,
            prompt_file=prompt_file,
            seed=seed,
            plain=plain,
            as_json=as_json,
            preview=preview,
        )
    )
