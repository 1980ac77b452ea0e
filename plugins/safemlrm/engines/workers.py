"""Who asks a model: children on this machine, workers on a Ray cluster, or connections to a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from safemlrm.config import Config
from safemlrm.types import Completion, Identity, Request

LOCAL = ("transformers", "vllm", "scripted")
"""Engines that run where they are started; the others ask a server, which needs no cluster."""


class Workers(Protocol):
    """Asks one model, as much at once as it can; used as a context manager."""

    def ask(self, batches: Iterable[list[Request]]) -> Iterator[list[Completion]]:
        """Yield completions as they come, in any order; batches are taken when there is room for them.

        A request that was not answered is absent. Raises `EngineError` when the model cannot be
        asked any more, after what had come back was yielded.
        """

    def still_the_same(self) -> None:
        """Raise `EngineError` when the model is not the one that was identified; asked at the end."""


def workers_for(name: str, config: Config, identity: Identity) -> AbstractContextManager[Workers]:
    """Return what asks a model of safety.toml; nothing is started before the context is entered."""
    model = config.models[name]
    if config.ray is not None and model.engine in LOCAL:
        from safemlrm.engines.cluster import Cluster

        return Cluster(name, model, config.folder, config.ray, identity)
    if model.engine == "openai":
        from safemlrm.engines.openai import Connections

        return Connections(name, model, identity)
    from safemlrm.engines.children import Children

    return Children(name, model, config.folder, identity.digest)
