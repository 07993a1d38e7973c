"""What a chat has at hand: what is asked with each question, and the conversation."""

from __future__ import annotations

from typing import Any

import msgspec

from rbee.contract.tasks import TaskRequest
from rbee.contract.validation import convert
from rbee.keeper.chat.conversation import Conversation

# As ollama calls them.
_NAMES = {"num_ctx": "context", "num_predict": "max_tokens"}
PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "max_tokens",
    "context",
    "keep_alive",
    "think",
)
_TEXTS = ("keep_alive",)


class ChatState:
    """`request` is asked with each question, with the conversation as its messages, on `node` if a
    worker there holds the conversation already. With `shows_figures`, each answer's are shown."""

    def __init__(self, request: TaskRequest) -> None:
        """The request's messages come before the first question."""
        self.request = request
        self.conversation = Conversation(request.messages or [])
        self.node = request.node
        self.shows_figures = False

    def question(self) -> TaskRequest:
        """The request for the open question."""
        messages = self.conversation.messages
        return msgspec.structs.replace(self.request, messages=messages, node=self.node)

    def forget_node(self) -> None:
        """Let the queen choose again, unless the command line named a node."""
        self.node = self.request.node

    def change(self, **fields: object) -> None:
        """Ask with other fields from now on; None is a field's default. Raises INVALID_REQUEST."""
        given = _fields(self.request) | fields
        request = convert({k: v for k, v in given.items() if v is not None}, TaskRequest)
        self.request = msgspec.structs.replace(request, messages=[])
        self.forget_node()

    def parameters(self) -> dict[str, object]:
        """The parameters and their values; None is one that the model or the queen decides."""
        return {name: getattr(self.request, name) for name in PARAMETERS}

    def saved(self) -> bytes:
        """The request and the conversation, for `load`."""
        messages = msgspec.to_builtins(self.conversation.messages)
        return msgspec.json.encode(_fields(self.request) | {"messages": messages})

    def load(self, request: TaskRequest) -> None:
        """Go on with a conversation that was saved, and with its model and parameters."""
        self.conversation = Conversation.of(request.messages or [])
        self.request = msgspec.structs.replace(request, messages=[], node=self.request.node)
        self.forget_node()


def parameter(name: str, words: list[str]) -> tuple[str, object]:
    """The field and the value that a person means. Raises ValueError for an unknown name."""
    field = name.replace("-", "_").lower()
    field = _NAMES.get(field, field)
    if field not in PARAMETERS:
        raise ValueError(name)
    if field == "stop":
        return field, words
    text = " ".join(words)
    value = text if field in _TEXTS else _number(text)
    return field, None if (field, value) == ("seed", -1) else value


def _number(text: str) -> object:
    """A number, true or false; a text as it is, which the message's type then refuses."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _fields(request: TaskRequest) -> dict[str, Any]:
    """All but the defaults; the messages are replaced by one, since there must be one."""
    fields: dict[str, Any] = msgspec.to_builtins(request)
    defaults = msgspec.to_builtins(TaskRequest(prompt="?"))
    given = {name: value for name, value in fields.items() if value != defaults.get(name)}
    given.pop("prompt", None)
    return given | {"messages": [{"role": "user", "content": "?"}]}
