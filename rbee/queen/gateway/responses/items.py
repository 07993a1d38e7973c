"""The items of a response while they are written: each says which events it consists of.

An event here is its fields; the stream numbers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from rbee.contract.events import Call
from rbee.contract.openai import ChatLogprob
from rbee.contract.responses import (
    ItemStatus,
    OutputCall,
    OutputItem,
    OutputMessage,
    OutputReasoning,
    OutputText,
    ReasoningText,
)

Fields = dict[str, Any]
_ADDED, _DONE = "response.output_item.added", "response.output_item.done"
_PART_ADDED, _PART_DONE = "response.content_part.added", "response.content_part.done"


class Item(Protocol):
    """An item that is being written. `key` tells to which one a token belongs: channel, and index
    of the call."""

    key: tuple[str, int | None]

    def begin(self) -> Iterator[Fields]:
        """The events that open it."""

    def add(self, text: str, likely: ChatLogprob | None) -> Iterator[Fields]:
        """Those for more of its text, with how likely a token was."""

    def end(self, status: ItemStatus) -> Iterator[Fields]:
        """Those that close it."""

    def item(self, status: ItemStatus) -> OutputItem:
        """The item as it is now."""


class _Written:
    """What all items share: their place, their id, and what was written so far."""

    def __init__(self, index: int, item_id: str) -> None:
        self.id = item_id
        self._index = index
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def _event(self, kind: str, **fields: Any) -> Fields:
        return {"type": kind, "item_id": self.id, "output_index": self._index, **fields}

    def _part(self, kind: str, **fields: Any) -> Fields:
        return self._event(kind, content_index=0, **fields)

    def _item(self, kind: str, item: OutputItem) -> Fields:
        return {"type": kind, "output_index": self._index, "item": item}


class MessageItem(_Written):
    """A text."""

    key: tuple[str, int | None] = ("text", None)

    def __init__(self, index: int, response_id: str) -> None:
        super().__init__(index, f"msg_{response_id.removeprefix('resp_')}_{index}")
        self._likely: list[ChatLogprob] = []
        self._untold: list[ChatLogprob] = []

    def begin(self) -> Iterator[Fields]:
        yield self._item(_ADDED, OutputMessage(self.id, "in_progress", []))
        yield self._part(_PART_ADDED, part=OutputText(""))

    def add(self, text: str, likely: ChatLogprob | None) -> Iterator[Fields]:
        if likely is not None:
            self._likely.append(likely)
            self._untold.append(likely)
        if text:
            self._parts.append(text)
            told, self._untold = self._untold, []
            yield self._part("response.output_text.delta", delta=text, logprobs=told)

    def end(self, status: ItemStatus) -> Iterator[Fields]:
        yield self._part("response.output_text.done", text=self.text, logprobs=self._likely)
        yield self._part(_PART_DONE, part=self._content())
        yield self._item(_DONE, self.item(status))

    def item(self, status: ItemStatus) -> OutputMessage:
        return OutputMessage(self.id, status, [self._content()])

    def _content(self) -> OutputText:
        return OutputText(self.text, logprobs=self._likely)


class ReasoningItem(_Written):
    """Reasoning, as the model wrote it."""

    key: tuple[str, int | None] = ("reasoning", None)

    def __init__(self, index: int, response_id: str) -> None:
        super().__init__(index, f"rs_{response_id.removeprefix('resp_')}_{index}")

    def begin(self) -> Iterator[Fields]:
        yield self._item(_ADDED, OutputReasoning(self.id, "in_progress", []))
        yield self._part(_PART_ADDED, part=ReasoningText(""))

    def add(self, text: str, likely: ChatLogprob | None) -> Iterator[Fields]:
        if text:
            self._parts.append(text)
            yield self._part("response.reasoning_text.delta", delta=text)

    def end(self, status: ItemStatus) -> Iterator[Fields]:
        yield self._part("response.reasoning_text.done", text=self.text)
        yield self._part(_PART_DONE, part=ReasoningText(self.text))
        yield self._item(_DONE, self.item(status))

    def item(self, status: ItemStatus) -> OutputReasoning:
        return OutputReasoning(self.id, status, [ReasoningText(self.text)])


class CallItem(_Written):
    """A call of a function, by its `name` in its `namespace`."""

    def __init__(
        self, index: int, response_id: str, call: Call, name: str, namespace: str | None
    ) -> None:
        own = response_id.removeprefix("resp_")
        super().__init__(index, f"fc_{own}_{index}")
        self.key: tuple[str, int | None] = ("tool_call", call.index)
        self._call_id = call.id or f"call_{own}_{call.index}"
        self._name, self._namespace = name, namespace

    def begin(self) -> Iterator[Fields]:
        yield self._item(_ADDED, self.item("in_progress"))

    def add(self, text: str, likely: ChatLogprob | None) -> Iterator[Fields]:
        if text:
            self._parts.append(text)
            yield self._event("response.function_call_arguments.delta", delta=text)

    def end(self, status: ItemStatus) -> Iterator[Fields]:
        yield self._event(
            "response.function_call_arguments.done", name=self._name, arguments=self.text
        )
        yield self._item(_DONE, self.item(status))

    def item(self, status: ItemStatus) -> OutputCall:
        namespace = self._namespace
        return OutputCall(self.id, status, self._call_id, self._name, self.text, namespace)
