"""OpenAI's completions endpoint for text generators: `POST /openai/v1/completions`.

kserve's own needs vLLM.
"""

import json
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from export.serving.budget import Reservation
from export.serving.errors import BusyError, LateError, SizeError
from export.serving.protocol import count_json_values
from export.serving.records import TOKENS
from export.serving.repository import Repository
from keras_seq.errors import UserError
from keras_seq.tasks.generate.answers import Continuation
from keras_seq.uniforms import random_uniforms

PATH = "/openai/v1/completions"
TOKENS_PER_PART = 8  # of a stream: a call of the runtime costs more than a token
TOKENS_PER_LONG_PART = 32  # of a text that is answered as a whole
SAMPLING = ("temperature", "top_k", "top_p", "repetition_penalty")


class StreamOptions(BaseModel):
    """What a stream has besides the text."""

    include_usage: bool = False


class Completion(BaseModel):
    """A request, as OpenAI's clients send it.

    Options that would change the answer and are not supported may only have their neutral value;
    other fields are ignored.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: str
    prompt: str | list[str] = ""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    logprobs: None = None
    suffix: None = None
    logit_bias: None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None


def register_completions(app: FastAPI, repository: Repository) -> None:
    """Adds the routes."""

    @app.get("/openai/v1/models")
    async def models() -> dict[str, Any]:
        names = list_writers(repository)
        data = [{"id": name, "object": "model", "owned_by": "keras-seq"} for name in names]
        return {"object": "list", "data": data}

    @app.post(PATH, response_model=None)
    async def completions(client: Request) -> Any:
        request = await read_completion(await client.body(), repository)
        writer = Writer(repository, request, client.state.reservation)
        if request.stream:
            events = writer.events()
            first = await anext(events)  # An error before it gets a status of its own.
            return StreamingResponse(_rest(first, events), media_type="text/event-stream")
        choices = [await writer.choice(i) for i in range(len(writer.prompts))]
        return JSONResponse({**writer.head(), "choices": choices, "usage": writer.usage()})


async def read_completion(body: bytes, repository: Repository) -> Completion:
    """Returns a request.

    Raises:
        ValidationError: If it isn't one.
        SizeError: If it has too many values.
    """
    count_json_values(body)
    read = partial(Completion.model_validate_json, body)
    return await repository.workers.run_beside(read, len(body))


def list_writers(repository: Repository) -> list[str]:
    """Returns the names of the bundles that write texts."""
    return [name for name, bundle in repository.bundles.items() if bundle.parts]


async def _rest(first: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yields all parts of a stream; an error ends it."""
    yield first
    try:
        async for event in events:
            yield event
    except (UserError, BusyError, LateError, SizeError) as error:
        kind = "invalid_request_error" if isinstance(error, UserError) else "server_error"
        told = {"message": str(error), "type": kind, "param": None, "code": None}
        yield f"data: {json.dumps({'error': told})}\n\n"


class Writer:
    """Continues the prompts of a request.

    Args:
        repository: The models.
        request: The request.
        reservation: Memory of the request.

    Raises:
        UserError: If the model does not write texts.
        SizeError: If there are too many prompts or stop texts.
    """

    def __init__(
        self, repository: Repository, request: Completion, reservation: Reservation
    ) -> None:
        known = list_writers(repository)
        if request.model not in known:
            raise UserError(
                f"Models that generate text here: {', '.join(known) or 'none'}. Received: "
                f"{request.model!r}"
            )
        bundle, models = repository.bundles[request.model], repository.get_models()
        # A text ends in the model that it began with, whatever is loaded meanwhile.
        self._loaded = bundle.loaded
        self._workers, self._reservation = repository.workers, reservation
        self._prompt_tokens = self._completion_tokens = 0
        self._prefill, self._decode = (models[f"{request.model}.{name}"] for name in bundle.parts)
        self._decode_spec = self._loaded.signatures[bundle.parts[1]]
        self._request = request
        manifest = bundle.loaded.manifest
        self._sampling = {
            name: manifest["entry"]["defaults"].get(name) if setting is None else setting
            for name in SAMPLING
            for setting in (getattr(request, name),)
            # A bundle of an earlier version has no penalty.
            if setting is not None or name in manifest["entry"]["defaults"]
        }
        limits = repository.limits
        stops = request.stop or []
        self._stop = [text for text in ([stops] if isinstance(stops, str) else stops) if text]
        prompt = request.prompt
        self.prompts = [prompt] if isinstance(prompt, str) else prompt
        most_stops = min(limits.max_stops, manifest["limits"].get("max_stops", limits.max_stops))
        _refuse_more("prompts", "--max-prompts", len(self.prompts), limits.max_prompts)
        _refuse_more("stop texts", "--max-stops", len(self._stop), most_stops)
        self._created = int(time.time())
        self._id = f"cmpl-{uuid.uuid4().hex}"
        longest = manifest["limits"]["max_new_tokens"]
        self._max_tokens = longest if request.max_tokens is None else request.max_tokens
        if self._max_tokens > longest:
            raise UserError(
                f"max_tokens is from 1 to the {longest} that {request.model} was exported with "
                f"(--max-new-tokens). Received: {self._max_tokens}"
            )
        self._longest = longest
        self._uniforms = random_uniforms(len(self.prompts), self._max_tokens, request.seed)

    def head(self) -> dict[str, Any]:
        """Returns the fields that every answer, and every part of a stream, begins with."""
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._request.model,
        }

    def usage(self) -> dict[str, int]:
        """Returns how many tokens were read and written so far."""
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._completion_tokens,
            "total_tokens": self._prompt_tokens + self._completion_tokens,
        }

    async def choice(self, i: int) -> dict[str, Any]:
        """Returns the whole continuation of a prompt."""
        whole, reason = "", "length"
        async for text, why in self.pieces(i, TOKENS_PER_LONG_PART):
            whole, reason = whole + text, why or reason
        return {"index": i, "text": whole, "logprobs": None, "finish_reason": reason}

    async def pieces(self, i: int, part_tokens: int) -> AsyncIterator[tuple[str, str | None]]:
        """Yields the continuation of a prompt in parts of `part_tokens` tokens: each a text and,
        with the last, the reason of the end.
        """
        continuation = Continuation(self._uniforms[i], self._sampling, self._stop, self._longest)
        prompt, held = self.prompts[i], self._reservation.size
        outputs = await self._prefill.answer(
            self._loaded, continuation.first_inputs(prompt), self._reservation
        )
        count = partial(self._loaded.count_tokens, prompt)
        self._prompt_tokens += await self._workers.run_beside(count, len(prompt))
        counted, whole = 0, ""
        while True:
            TOKENS.labels(self._request.model).inc(continuation.tokens - counted)
            counted = continuation.tokens
            text = continuation.read(outputs)
            whole += text
            if continuation.finish_reason is not None:
                # The tokens of the last part are not all part of the text where it has ended.
                self._completion_tokens += (
                    continuation.tokens
                    if continuation.finish_reason == "length"
                    else min(continuation.tokens, self._loaded.count_tokens(whole))
                )
            if text or continuation.finish_reason is not None:
                yield text, continuation.finish_reason
            if continuation.finish_reason is not None:
                self._reservation.shrink_to(held)
                return
            state = self._decode_spec.select_inputs(outputs)
            inputs = {**continuation.next_inputs(part_tokens), **state}
            self._reservation.shrink_to(held)
            outputs = await self._decode.answer(self._loaded, inputs, self._reservation)

    async def events(self) -> AsyncIterator[str]:
        """Yields server-sent events, prompt after prompt."""
        for i in range(len(self.prompts)):
            async for text, reason in self.pieces(i, TOKENS_PER_PART):
                choice = {"index": i, "text": text, "logprobs": None, "finish_reason": reason}
                yield f"data: {json.dumps({**self.head(), 'choices': [choice]})}\n\n"
        options = self._request.stream_options
        if options is not None and options.include_usage:
            last = {**self.head(), "choices": [], "usage": self.usage()}
            yield f"data: {json.dumps(last)}\n\n"
        yield "data: [DONE]\n\n"


def _refuse_more(what: str, option: str, count: int, most: int) -> None:
    if count > most:
        raise SizeError(f"A completion has at most {most:,} {what} ({option}). Received: {count:,}")
