"""A PEFT adapter put on the model it was trained on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safemlrm.errors import EngineError


def with_adapter(network: Any, folder: Path, merge: bool) -> Any:
    """Return a network with an adapter's weights, all of which have to fit.

    Merged, it is an ordinary network: as fast as one, sharded and quantized like one, which is how
    adapters are released. Weights that were quantized while they were loaded cannot take it exactly,
    and there it stays beside them. `EngineError` says what does not fit.
    """
    if find_spec("peft") is None:
        raise EngineError(f'{folder}: an adapter needs peft: pip install "pytest-safemlrm[peft]"')
    from peft import PeftConfig, PeftModel

    try:
        config = PeftConfig.from_pretrained(str(folder))
        if config.is_prompt_learning:
            raise ValueError(f"{config.peft_type} learns a prompt, and only weights can be added")
        config.inference_mode = True
        wrapped: Any = PeftModel(network, config, autocast_adapter_dtype=False)
        result = wrapped.load_adapter(
            str(folder), "default", torch_device="cpu", autocast_adapter_dtype=False
        )
        strangers = [*result.unexpected_keys, *result.missing_keys]
        if strangers:
            raise ValueError(
                f"{len(result.unexpected_keys)} of its tensors have no place and "
                f"{len(result.missing_keys)} are missing ({strangers[0]}, ...)"
            )
        # With its check, since a NaN would be merged like any number.
        return wrapped.merge_and_unload(safe_merge=True) if merge else wrapped.get_base_model()
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError, OSError) as error:
        raise EngineError(
            f"{folder}: the adapter does not fit the model: {_reason(error)}; name the model it was "
            "trained on as path"
        ) from error


def _reason(error: Exception) -> str:
    """Return the line that says something: torch puts a heading over its list of shapes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Error(s) in loading"):
        return lines[1].rstrip(".")
    return (lines or [type(error).__name__])[0].rstrip(".")
