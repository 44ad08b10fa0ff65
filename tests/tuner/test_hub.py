"""The hub, played by a small server: what is fetched, what is refused, what the cache serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mini_pipeline import write_mini

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# One interpreter for all cases, since importing diffusers is what takes the time.
SCRIPT = """
import json, sys
from pathlib import Path
import torch
from tuner.models import ModelKind, ModelRef, resolve
from tuner.worker.build import LoadRefused, describe, load_pipeline

folder = Path(sys.argv[1])
mini = ModelRef(kind=ModelKind.BUILTIN, name="builtin:mini", path=Path(sys.argv[2]))
load_pipeline(mini, torch.bfloat16).save_pretrained(folder)
answers = {}
for name in ("good/mini", "gated/model", "missing/model", "odd/data", "good/mini"):
    if name in answers:
        name, before = name + " again", (folder / "model_index.json").rename(folder / "gone")
    try:
        answers[name] = describe(load_pipeline(resolve(name.split()[0]), torch.bfloat16)).pipeline_class
    except LoadRefused as error:
        answers[name] = str(error)
print("ANSWERS", json.dumps(answers))
"""


class Hub(BaseHTTPRequestHandler):
    """As much of huggingface.co as a download of a small public model asks for."""

    folder: Path

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool):
        path = self.path.partition("?")[0]
        if "gated/model" in path:
            self.reply(403, b"{}", body, {"X-Error-Code": "GatedRepo"})
        elif "missing/model" in path:
            self.reply(401, b"{}", body, {"X-Error-Code": "RepoNotFound"})
        elif path.startswith("/api/models/"):
            self.reply(200, json.dumps(self.listing(*path.split("/")[3:6])).encode(), body)
        else:
            file = self.folder / path.partition("/resolve/")[2].partition("/")[2]
            if "good/mini" in path and file.is_file():
                self.reply(200, file.read_bytes(), body, {"ETag": f'"{abs(hash(file)):x}"'})
            else:
                self.reply(404, b"{}", body, {"X-Error-Code": "EntryNotFound"})

    def listing(self, owner: str, name: str, question: str = "") -> object:
        files = sorted(file for file in self.folder.rglob("*") if file.is_file()) if owner == "good" else []
        paths = {file.relative_to(self.folder).as_posix(): file.stat().st_size for file in files}
        if question == "tree":
            return [
                {"type": "file", "path": path, "size": size, "oid": "0" * 40} for path, size in paths.items()
            ]
        return {
            "id": f"{owner}/{name}",
            "sha": COMMIT,
            "siblings": [{"rfilename": path} for path in paths],
            "tags": [],
        }

    def reply(self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None):
        self.send_response(status)
        for name, value in (
            {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Hub,), {"folder": tmp_path / "served"}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_models_of_the_hub(hub, tmp_path):
    mini = write_mini(tmp_path / "mini")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, str(tmp_path / "served"), str(mini)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment,
    )
    assert "ANSWERS " in done.stdout, done.stderr[-3000:]
    answers = json.loads(done.stdout.rpartition("ANSWERS ")[2])
    assert answers == {
        "good/mini": "StableDiffusionPipeline",
        "gated/model": (
            "'gated/model' is given only to those who accept its terms: do so on huggingface.co, "
            "then run `hf auth login`."
        ),
        "missing/model": (
            "There is no model 'missing/model' on huggingface.co (or it is private), and no such folder here."
        ),
        "odd/data": "'odd/data' on huggingface.co is not a diffusers pipeline: it has no model_index.json.",
        # The server has lost its index by now: the cache alone served this one.
        "good/mini again": "StableDiffusionPipeline",
    }
    (tmp_path / "empty" / "hub" / "models--begun--model" / "blobs").mkdir(parents=True)
    offline = subprocess.run(
        [sys.executable, "-P", "-c", OFFLINE],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")},
    )
    cache = tmp_path / "empty" / "hub"
    advice = "connect to the network, point HF_HOME at the folder that holds it, or give a folder or a .safetensors file."
    assert offline.stdout.splitlines()[-2:] == [
        f"'some/model' is not in the cache {cache}, and huggingface.co is not asked (HF_HUB_OFFLINE is set); {advice}",
        f"'begun/model' is not in the cache {cache} as a whole (a part of it is), and huggingface.co is not asked "
        f"(HF_HUB_OFFLINE is set); {advice}",
    ]


OFFLINE = """
import torch
from tuner.models import resolve
from tuner.worker.build import LoadRefused, load_pipeline
for name in ("some/model", "begun/model"):
    try:
        load_pipeline(resolve(name), torch.bfloat16)
    except LoadRefused as error:
        print(error)
"""
