"""What a worker imports before its memory is counted, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from diffusers.utils import import_utils

from tuner.models import ModelKind, ModelRef
from tuner.settings import Settings
from tuner.worker.preload import import_classes

STARTED = (
    "import sys; from tuner.models import resolve; from tuner.settings import Settings; "
    "import tuner.worker.build; from tuner.worker.preload import import_classes; "
    "import_classes(resolve('builtin:tiny'), Settings(weights=sys.argv[1])); "
    "print(*(name in sys.modules for name in ('bitsandbytes', 'tuner.worker.singlefile', 'transformers.models.clip')))"
)


@pytest.mark.parametrize(("weights", "quantises"), [("native", False), ("int8", True)])
def test_only_who_quantises_waits_for_the_compiler_behind_it(weights, quantises):
    pytest.importorskip("bitsandbytes")
    done = subprocess.run(
        [sys.executable, "-c", STARTED, weights], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(quantises), "False", "True"]


@pytest.mark.parametrize(
    ("config", "known"), [({}, False), ({"quantization_config": {"load_in_4bit": True}}, True)]
)
def test_files_that_are_quantised_already_keep_diffusers_reader(tmp_path, monkeypatch, config, known):
    monkeypatch.setattr(import_utils, "_bitsandbytes_available", True)
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    ref = ModelRef(
        name="mine", kind=ModelKind.FOLDER, path=tmp_path, pipeline_class="StableDiffusionPipeline"
    )
    import_classes(ref, Settings())
    assert import_utils._bitsandbytes_available is known
