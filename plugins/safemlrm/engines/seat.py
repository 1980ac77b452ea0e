"""A worker's side on a Ray cluster: one engine in an actor, which says what it loaded (no Ray imported)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from safemlrm.config import Model
from safemlrm.engines import build_engine
from safemlrm.engines.child import reason_of
from safemlrm.engines.identity import identity_of
from safemlrm.engines.messages import Answered, Batch, Failed
from safemlrm.errors import EngineError
from safemlrm.types import Engine, Identity


class Seat:
    """One engine on one node. What fails is returned and not raised: this machine may lack its class."""

    def __init__(self, name: str, model: Model, folder: Path, device: str) -> None:
        """Remember what to load; loading is a call of its own, so that a place is known before it."""
        self._name = name
        self._model = model
        self._folder = folder
        self._device = device
        self._engine: Engine | None = None

    def where(self) -> str:
        """Say which node this is, and which process on it."""
        return f"node {socket.gethostname()} (process {os.getpid()})"

    def load(self) -> Identity | Failed:
        """Load the engine, then say what its files are."""
        try:
            _check_path(self._model.path)
            _check_path(self._model.adapter)
            self._engine = build_engine(self._name, self._model, self._folder, self._device)
            return identity_of(self._name, self._model, self._folder)
        except Exception as error:  # whatever a library raises reaches the user as one line
            return Failed(reason_of(error))

    def answer(self, batch: Batch) -> Answered | Failed:
        """Answer a batch."""
        try:
            assert self._engine is not None
            return Answered(batch.number, list(self._engine.generate(batch.requests)))
        except Exception as error:  # as above
            return Failed(reason_of(error))


def _check_path(path: str | None) -> None:
    if path is not None and Path(path).is_absolute() and not Path(path).exists():
        raise EngineError(
            f"{path}: not there on this node; put the model where every node finds it under "
            "the same path, or give an id of the hub"
        )
