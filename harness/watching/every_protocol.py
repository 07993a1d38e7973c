"""One question in every protocol, each streamed by the asynchronous client of its own package.

llama.cpp's server has no package: it is asked over HTTP, with the prompt that its template writes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.watching.raw_requests import bearer
from harness.world.world import World

MODEL = "smollm2"
WITHIN_S = 120


@dataclass(frozen=True)
class Question:
    """`wanted` is what the answer must be, or "" for whatever the model says."""

    said: str
    tokens: int
    wanted: str = ""
    system: str = "Be kind."

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}, *self.turn]

    @property
    def turn(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": self.said}]

    @property
    def schema(self) -> dict[str, str]:
        return {"const": self.wanted}

    @property
    def grammar(self) -> str:
        return f"root ::= {json.dumps(json.dumps(self.wanted))}"


@dataclass
class Answer:
    """What has come so far. `cached` of the `read` tokens of the prompt were in the cache; -1 where
    a protocol does not tell. `error` is how the package tells the one that it was refused with, or
    that its stream ended with; then the `status`, and `kind` and `retry_after` where the package
    has them. It has `begun` with the first text, or an error."""

    text: str = ""
    done: bool = False
    read: int = 0
    cached: int = -1
    error: str = ""
    kind: str = ""
    status: int = 200
    retry_after: str | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def refused(self, error: Any) -> None:
        """The exception of the package."""
        response = getattr(error, "response", None)
        self.error = str(error)
        body = getattr(error, "body", None)
        if isinstance(body, dict):
            self.kind = body.get("error", body).get("type", "")
        self.begun.set()
        self.status = getattr(error, "status_code", getattr(response, "status_code", 200))
        self.retry_after = response.headers.get("Retry-After") if response is not None else None


Pieces = AsyncGenerator[str, None]
Ask = Callable[["Clients", Question, Answer], Pieces]


class Clients:
    """The asynchronous client of each package, made once, without tries of its own."""

    def __init__(self, world: World, key: str = "") -> None:
        self._url, self._key = world.queen_url, key or world.key
        self._operator = bearer(world.key)
        self._how: dict[str, Any] = {"api_key": self._key, "max_retries": 0, "timeout": WITHIN_S}

    @cached_property
    def openai(self) -> Any:
        from openai import AsyncOpenAI

        return AsyncOpenAI(base_url=f"{self._url}/v1", **self._how)

    @cached_property
    def anthropic(self) -> Any:
        from anthropic import AsyncAnthropic

        return AsyncAnthropic(base_url=self._url, **self._how)

    @cached_property
    def ollama(self) -> Any:
        from ollama import AsyncClient

        return AsyncClient(host=self._url, headers=bearer(self._key), timeout=WITHIN_S)

    @cached_property
    def llama_cpp(self) -> Any:
        import httpx

        headers = bearer(self._key)
        return httpx.AsyncClient(base_url=self._url, headers=headers, timeout=WITHIN_S)

    @cached_property
    def raised(self) -> tuple[type[Exception], ...]:
        """What the packages raise for an error that they were told."""
        import anthropic
        import httpx
        import ollama
        import openai

        return openai.APIError, anthropic.APIError, ollama.ResponseError, httpx.HTTPStatusError

    async def answer(self, protocol: str, question: Question) -> Answer:
        """The whole answer."""
        answer = Answer()
        await self.ask(protocol, question, answer)
        return answer

    async def ask(self, protocol: str, question: Question, answer: Answer) -> None:
        """The answer, as it comes. What the package raises is its error."""
        try:
            async with aclosing(ASK[protocol](self, question, answer)) as pieces:
                async for piece in pieces:
                    answer.text += piece
                    if piece:
                        answer.begun.set()
        except self.raised as error:
            answer.refused(error)

    async def prompt(self, question: Question) -> str:
        """What the model's template writes of the conversation, as the operator is told."""
        body = {"messages": question.messages, "model": MODEL}
        reply = await self.llama_cpp.post("/apply-template", json=body, headers=self._operator)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["prompt"])


async def _chat(clients: Clients, question: Question, answer: Answer) -> Pieces:
    asked: dict[str, Any] = {"messages": question.messages, "max_tokens": question.tokens}
    asked |= {"model": MODEL, "temperature": 0, "stream_options": {"include_usage": True}}
    if question.wanted:
        form = {"name": "text", "schema": question.schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": form}
    else:
        asked["extra_body"] = {"ignore_eos": True}
    async with await clients.openai.chat.completions.create(**asked, stream=True) as stream:
        async for chunk in stream:
            for choice in chunk.choices:
                answer.done = choice.finish_reason is not None
                yield choice.delta.content or ""
            if chunk.usage is not None:
                answer.read = chunk.usage.prompt_tokens
                answer.cached = chunk.usage.prompt_tokens_details.cached_tokens


async def _responses(clients: Clients, question: Question, answer: Answer) -> Pieces:
    asked: dict[str, Any] = {"instructions": question.system, "input": question.said}
    asked |= {"model": MODEL, "temperature": 0, "max_output_tokens": question.tokens}
    if question.wanted:
        form = {"type": "json_schema", "name": "text", "schema": question.schema}
        asked["text"] = {"format": form}
    else:
        asked["extra_body"] = {"ignore_eos": True}
    async with await clients.openai.responses.create(**asked, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta
            elif event.type == "response.failed":
                answer.error = event.response.error.message
            elif event.type in ("response.completed", "response.incomplete"):
                usage, answer.done = event.response.usage, True
                answer.read = usage.input_tokens
                answer.cached = usage.input_tokens_details.cached_tokens


async def _completions(clients: Clients, question: Question, answer: Answer) -> Pieces:
    more = {"grammar": question.grammar} if question.wanted else {"ignore_eos": True}
    asked: dict[str, Any] = {"prompt": await clients.prompt(question), "extra_body": more}
    asked |= {"model": MODEL, "temperature": 0, "max_tokens": question.tokens}
    asked["stream_options"] = {"include_usage": True}
    async with await clients.openai.completions.create(**asked, stream=True) as stream:
        async for chunk in stream:
            for choice in chunk.choices:
                answer.done = choice.finish_reason is not None
                yield choice.text
            if chunk.usage is not None:
                answer.read = chunk.usage.prompt_tokens
                answer.cached = chunk.usage.prompt_tokens_details.cached_tokens


async def _anthropic(clients: Clients, question: Question, answer: Answer) -> Pieces:
    asked: dict[str, Any] = {"system": question.system, "messages": question.turn}
    asked |= {"model": MODEL, "max_tokens": question.tokens, "extra_body": {"temperature": 0}}
    if question.wanted:
        form = {"type": "json_schema", "schema": question.schema}
        asked["output_config"] = {"format": form}
    async with await clients.anthropic.messages.create(**asked, stream=True) as stream:
        async for event in stream:
            if event.type == "content_block_delta":
                yield event.delta.text
            elif event.type == "message_delta":
                answer.done = event.delta.stop_reason is not None
                answer.cached = event.usage.cache_read_input_tokens
                answer.read = event.usage.input_tokens + answer.cached


async def _ollama(clients: Clients, question: Question, answer: Answer) -> Pieces:
    options = {"temperature": 0, "num_predict": question.tokens}
    form: Any = question.schema if question.wanted else None
    asked: dict[str, Any] = {"model": MODEL, "messages": question.messages, "format": form}
    async with aclosing(await clients.ollama.chat(**asked, options=options, stream=True)) as stream:
        async for part in stream:
            answer.done = bool(part.done)
            answer.read = part.prompt_eval_count or 0
            yield part.message.content or ""


async def _llama_cpp(clients: Clients, question: Question, answer: Answer) -> Pieces:
    import httpx

    asked: dict[str, Any] = {"prompt": await clients.prompt(question), "temperature": 0}
    asked |= {"n_predict": question.tokens, "stream": True}
    asked |= {"json_schema": question.schema} if question.wanted else {"ignore_eos": True}
    async with clients.llama_cpp.stream("POST", "/completion", json=asked) as reply:
        if reply.is_error:
            said = (await reply.aread()).decode()
            raise httpx.HTTPStatusError(said, request=reply.request, response=reply)
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    answer.error = event["error"]["message"]
                    return
                if event["stop"]:
                    answer.done, answer.read = True, event["tokens_evaluated"]
                    answer.cached = event["timings"]["cache_n"]
                yield event["content"]


ASK: Mapping[str, Ask] = {
    "OpenAI's chat": _chat,
    "OpenAI's Responses": _responses,
    "OpenAI's completions": _completions,
    "Anthropic's messages": _anthropic,
    "Ollama's chat": _ollama,
    "llama.cpp's completion": _llama_cpp,
}
