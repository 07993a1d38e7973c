"""The process that renders chat templates: it may take long, or much memory, and be killed.

It learns the templates and the special tokens that they name (`renderers.Templates`). Requests are
`{"render": NAME, "messages": […], "tools": […], "variables": {…}}`, whose answer is a prompt, and
`{"facts": NAME}`, whose answer is what that template can do.
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

from rbee.worker.model.killable_process import EXHAUSTED, REFUSED, TEXT, serve

if TYPE_CHECKING:
    from rbee.worker.model.templates.environment import Template

# Bytes of address space, of which Python itself takes a tenth. A conversation of 16 MB, which is
# the largest that a daemon accepts, takes a third.
MEMORY = 1 << 30
# Bytes of a prompt.
LONGEST = 64 << 20

_LONGEST_WORDS = 10_000


def main() -> None:
    templates: dict[str, Template | str] = {}

    def learn(known: dict[str, dict[str, str]]) -> None:
        templates.clear()
        templates.update(_compiled(**known))

    serve(MEMORY, _get_ready, learn, lambda request: _answer(templates, request))


def _get_ready() -> None:
    importlib.import_module("rbee.worker.model.templates.environment")  # it takes its time


def _compiled(sources: dict[str, str], tokens: dict[str, str]) -> dict[str, Template | str]:
    """The templates by their names; in place of one that is not valid, what is wrong with it."""
    from rbee.worker.model.templates.environment import Template

    found: dict[str, Template | str] = {}
    for name, source in sources.items():
        try:
            found[name] = Template(source, tokens)
        except Exception as error:  # a template is a program, and may raise anything
            found[name] = f"is not valid: {_words(error)}"
    return found


def _answer(templates: dict[str, Template | str], request: dict[str, Any]) -> tuple[bytes, bytes]:
    """The kind of answer, and its text."""
    template = templates[request.get("render") or request["facts"]]
    if isinstance(template, str):
        return REFUSED, _bytes(template)
    try:
        if "facts" in request:
            return TEXT, _bytes(json.dumps(template.facts()))
        text = template.render(request["messages"], request["tools"], request["variables"])
        prompt = _bytes(text)
    except MemoryError:
        return EXHAUSTED, _bytes(f"takes more than {MEMORY >> 20} MB of memory")
    except Exception as error:
        return REFUSED, _bytes(f"refuses this: {_words(error)}")
    if len(prompt) > LONGEST:
        return EXHAUSTED, _bytes(f"writes more than {LONGEST >> 20} MB")
    return TEXT, prompt


def _words(error: Exception) -> str:
    return str(error)[:_LONGEST_WORDS] or type(error).__name__


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


if __name__ == "__main__":
    main()
