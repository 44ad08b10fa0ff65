"""``python -P -m tuner.dryrun``: one Ask as JSON on each line of stdin, one answer on each line of stdout.

The answer is {"answer": Answer} or {"error": "a sentence"}. The libraries are imported once, a pipeline is built
once for all questions that differ in nothing that its weights or layers depend on.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings

import msgspec

from doctor.errors import SdoctorError
from tuner.dryrun.rows import Answer, Ask
from tuner.lifeline import end_with_owner
from tuner.worker.collecting import without_collecting


def main() -> None:
    """Answer until stdin ends."""
    end_with_owner()
    # Libraries print; the answers keep the real stdout to themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    with without_collecting():
        import diffusers
        import transformers

        from tuner.worker.preload import leave_bitsandbytes_out

        leave_bitsandbytes_out()
        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.set_verbosity_error()
        logging.disable(logging.WARNING)
        from tuner.dryrun.engine import DryRun
    from tuner.models import resolve

    built: dict[object, DryRun] = {}

    def answer(line: str) -> Answer:
        ask = msgspec.json.decode(line, type=Ask)
        folder = resolve(ask.model, allow_pickle=True).path
        if folder is None or not folder.is_dir():
            raise ValueError(
                f"'{ask.model}' has no configuration files here; name a builtin model or a local folder"
            )
        # Everything else is turned in place.
        settings = ask.settings
        formats = (settings.precision, settings.vae_precision, settings.text_precision)
        # What was fused stays beside what it was fused from.
        key = (ask.model, formats, settings.attention, settings.memory_format, settings.fused_qkv)
        if key not in built:
            built.clear()
            built[key] = DryRun(folder, ask.settings)
        return built[key].answer(ask)

    for line in sys.stdin:
        try:
            reply: dict[str, object] = {"answer": answer(line)}
        except SdoctorError as error:
            reply = {"error": str(error)}
        except Exception as error:  # noqa: BLE001  (whatever a pipeline raises for a size or a configuration)
            reply = {"error": str(error).strip().rstrip(".") or type(error).__name__}
        answers.write(msgspec.json.encode(reply) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
