"""Oracle: asks the dry-run child, starts it when it is needed, and remembers its answers on disk."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zlib
from dataclasses import replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from doctor.errors import NotInOrder
from doctor.paths import cache_dir, write_atomically
from tuner.dryrun.rows import Answer, Ask
from tuner.lifeline import owned
from tuner.models import resolve

_LIBRARIES = ("sdoctor", "torch", "diffusers", "transformers", "accelerate")
# Raised whenever the meaning of an answer changes.
_FORMAT = 6


class Refused(NotInOrder):
    """The pipeline cannot be built or refuses the request; says why in one sentence."""


class Oracle:
    """Answers questions about one model. The child lives until ``close``; known answers need none."""

    def __init__(self, *, remember: bool = True) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._remember = remember
        self._known: dict[Ask, Answer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def abandon(self) -> None:
        """End the child from another thread; the question that waits for it is then refused, and so are all later."""
        child = self._child
        if child is not None:
            child.kill()

    def ask(self, question: Ask) -> Answer:
        """The prediction before any device is known. Raises Refused."""
        # Offload and threads leave the work of the models as it is.
        question = replace(question, settings=question.settings.as_the_models_see_them())
        if question not in self._known:
            self._known[question] = self._stored(question) or self._fresh(question)
        return self._known[question]

    def _stored(self, question: Ask) -> Answer | None:
        if not self._remember:
            return None
        try:
            content = zlib.decompress(self._path(question).read_bytes())
            answer: Answer = msgspec.json.decode(content, type=Answer)
        except (OSError, zlib.error, msgspec.DecodeError):
            return None
        return answer

    def _fresh(self, question: Ask) -> Answer:
        child = self._running()
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the child has pipes")
        try:
            child.stdin.write(msgspec.json.encode(question) + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise Refused(
                f"The dry run of {question.model} ended unexpectedly; `sdoctor check` may tell why."
            )
        reply = msgspec.json.decode(line, type=_Reply)
        if reply.answer is None:
            size = f"{question.width}x{question.height}" if question.width else "its own size"
            raise Refused(f"{question.model} at {size} cannot be predicted: {reply.error}.")
        if self._remember:
            try:
                write_atomically(self._path(question), zlib.compress(msgspec.json.encode(reply.answer), 1))
            except OSError:
                self._remember = False  # a full or read-only disk costs the memory, not the answer
        return reply.answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "tuner.dryrun"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=owned(),
            )
        return self._child

    def _path(self, question: Ask) -> Path:
        content = msgspec.json.encode(
            [_FORMAT, self._versions, self._configuration(question.model), question]
        )
        return cache_dir() / "plan" / f"{hashlib.sha256(content).hexdigest()[:32]}.json.z"

    @cached_property
    def _versions(self) -> dict[str, str]:
        found = {}
        for name in _LIBRARIES:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = ""
        return found

    def _configuration(self, model: str) -> str:
        """A digest of the configuration files that the answer depends on."""
        # Nothing is loaded: pickled weights are no danger here.
        path = resolve(model, allow_pickle=True).path
        digest = hashlib.sha256()
        if path is not None and path.is_dir():
            for file in sorted(path.rglob("*.json")):
                digest.update(str(file.relative_to(path)).encode() + file.read_bytes())
        engine = Path(__file__).parent
        for file in sorted(
            (*engine.glob("*.py"), *engine.parent.glob("knobs/*.py"), *engine.parent.glob("plan_weights.py"))
        ):
            digest.update(file.read_bytes())
        return digest.hexdigest()


class _Reply(msgspec.Struct):
    answer: Answer | None = None
    error: str = ""
