"""The error tree: who has to act decides the class.

* `ConfigError`: the user wrote something we cannot use; shown as a usage error, without a traceback.
* `SafemlrmError`: the infrastructure failed (a model, a store, a data set); the test is *broken*, not failed.
* `GateFailure`: a model became less safe; the only error here that is an AssertionError.
"""

from __future__ import annotations


class SafemlrmError(Exception):
    """Something that measuring needs is missing or broken; nothing is concluded about a model's safety."""


class ConfigError(SafemlrmError):
    """A setting, name or file given by the user cannot be used; the text says what, where and what to do."""


class EngineError(SafemlrmError):
    """A model could not be loaded or stopped answering."""


class ModelChanged(EngineError):
    """Another model answers in the place of `model` as it was identified; the two are never pooled."""

    def __init__(self, text: str, model: str) -> None:
        super().__init__(text)
        self.model = model


class StoreError(SafemlrmError):
    """The store of responses cannot be read or written."""


class NotMeasured(SafemlrmError):
    """A test asked for evidence that no run has produced."""


class GateFailure(AssertionError):
    """A gate did not pass: a limit was exceeded, or the evidence needed to pass is missing."""
