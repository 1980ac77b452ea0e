"""Prompts of guards without a chat template: the user's own file, or the text that judgezoo carries.

Their wording is other people's work and no part of this project. A file is a jinja2 template in the
way of chat templates (blocks leave no lines, one line break at the end is dropped) with two
variables, `prompt` and `response`; it runs in a sandbox and an unknown name is an error.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from safemlrm.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Template

PROBES = {"prompt": "probe-of-the-question", "response": "probe-of-the-response"}
LARGEST = 100_000
"""Characters of a template; a longer file is none."""
# The system prompt of the Llama 2 chat format, which HarmBench's classifier was trained in.
LLAMA_2 = "[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST]"


@dataclass(frozen=True)
class RawPrompt:
    """A whole prompt with places for the question and the response; `source` is its text."""

    source: str
    _template: Template

    def render(self, prompt: str, response: str) -> str:
        """Return what the model reads; the texts are inserted as they are."""
        return self._template.render(prompt=prompt, response=response)


def from_file(path: Path, where: str) -> RawPrompt:
    """Read a template file; `where` names the table of safety.toml that asks for it.

    Raises `ConfigError` when the file is missing, is no template, or leaves one of the texts out.
    """
    try:
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"{where} template = {str(path)!r} cannot be read: {said}; expected a jinja2 file with "
            "{{ prompt }} and {{ response }}; relative paths start at the folder of safety.toml"
        ) from None
    return from_text(source, f"{where} template {path.name}")


def from_text(source: str, where: str) -> RawPrompt:
    """Compile a template and try it; `ConfigError` says what is wrong with it."""
    try:
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise ConfigError(f"{where}: needs jinja2: pip install jinja2") from None
    if len(source) > LARGEST:
        raise ConfigError(f"{where}: longer than {LARGEST:,} characters, so it is no prompt")
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    try:
        found = RawPrompt(source, environment.from_string(source))
        shown = found.render(**PROBES)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: {error}; expected a jinja2 template with {{{{ prompt }}}} and {{{{ response }}}}"
        ) from None
    for name, probe in PROBES.items():
        if shown.count(probe) != 1:
            raise ConfigError(
                f"{where}: shows {{{{ {name} }}}} {shown.count(probe)} times; a guard has to see the "
                f"{name} once"
            )
    return found


def from_judgezoo(where: str) -> RawPrompt | None:
    """Return HarmBench's prompt out of an installed judgezoo, None where there is none.

    The package's source is read and not imported, since importing it loads torch. Raises
    `ConfigError` when the prompt is no longer where version 0.1.9 has it.
    """
    spec = find_spec("judgezoo")
    if spec is None or not spec.submodule_search_locations:
        return None
    file = Path(next(iter(spec.submodule_search_locations))) / "harmbench.py"
    try:
        said = _roles(ast.parse(file.read_text("utf-8")))
        whole = LLAMA_2.format(system=said["system"].strip(), user=said["user"].strip())
    except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{where}: the installed judgezoo does not hold HarmBench's prompt as 0.1.9 does "
            f"({type(error).__name__}); install that version or write the prompt into a template file"
        ) from None
    source = whole.replace("{behavior}", "{{ prompt }}").replace("{generation}", "{{ response }}")
    return from_text(source, f"{where} judgezoo")


def _roles(module: ast.Module) -> Mapping[str, str]:
    """Return what each role says in the constant `CLS_CONVERSATION`; `KeyError` without one."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "CLS_CONVERSATION"
            for target in node.targets
        ):
            messages = ast.literal_eval(node.value)
            return {message["role"]: message["content"] for message in messages}
    raise KeyError("CLS_CONVERSATION")
