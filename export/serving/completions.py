"""OpenAI's completions endpoint for text generators: `POST /openai/v1/completions`.

(kserve has one that needs vLLM.)
"""

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from kserve import ModelRepository
from pydantic import BaseModel, ConfigDict, Field

from export.serving.batching import BusyError, LateError
from export.serving.records import TOKENS
from keras_seq.errors import UserError
from keras_seq.text.streaming import TextStream
from keras_seq.uniforms import random_uniforms

TOKENS_A_PART = 8  # Of a stream: a call of the runtime costs more than a token.


# What a text is written with, part by part.
PARTS = (".prefill_text", ".decode_text")


class Completion(BaseModel):
    """A request, as OpenAI's clients send it.

    What would change the answer and is not done here may only ask for what is; all else that they
    may send is not read.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    model: str
    prompt: str | list[str] = ""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0)] | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    n: Literal[1] | None = None
    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    logprobs: None = None
    suffix: None = None
    logit_bias: None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None


def register_completions(app: FastAPI, repository: ModelRepository) -> None:
    """Adds the routes."""

    @app.get("/openai/v1/models")
    async def models() -> dict[str, Any]:
        names = writing(repository)
        data = [{"id": name, "object": "model", "owned_by": "keras-seq"} for name in names]
        return {"object": "list", "data": data}

    @app.post("/openai/v1/completions", response_model=None)
    async def completions(request: Completion, client: Request) -> Any:
        writer = Writer(repository, request)
        if request.stream:
            events = writer.events()
            first = await anext(events)  # An error before it is an answer with its own status.
            return StreamingResponse(_rest(first, events), media_type="text/event-stream")
        choices = []
        for i in range(len(writer.prompts)):
            if await client.is_disconnected():
                break
            choices.append(await writer.choice(i))
        return JSONResponse({**writer.head(), "choices": choices})


def writing(repository: ModelRepository) -> list[str]:
    """The names of the bundles that write texts."""
    models = repository.get_models()
    names = (name.removesuffix(PARTS[0]) for name in models if name.endswith(PARTS[0]))
    return [name for name in names if name + PARTS[1] in models]


async def _rest(first: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """All parts of a stream; an error among them is the last."""
    yield first
    try:
        async for event in events:
            yield event
    except (UserError, BusyError, LateError) as error:
        yield f"data: {json.dumps({'error': {'message': str(error)}})}\n\n"


class Writer:
    """Writes what follows the prompts of a request.

    Args:
        repository: Where the model is.
        request: What is asked.

    Raises:
        UserError: If the model does not write texts.
    """

    def __init__(self, repository: ModelRepository, request: Completion) -> None:
        known = writing(repository)
        if request.model not in known:
            raise UserError(
                f"The models that write texts are: {', '.join(known) or 'none'}. Received: "
                f"{request.model!r}"
            )
        models = repository.get_models()
        self._prefill, self._decode = (models[f"{request.model}{part}"] for part in PARTS)
        self._request = request
        stop = request.stop or []
        self._stop = [one for one in ([stop] if isinstance(stop, str) else stop) if one]
        given = request.prompt
        self.prompts = [given] if isinstance(given, str) else given
        self._created = int(time.time())
        self._id = f"cmpl-{uuid.uuid4().hex}"
        longest = self._prefill.bundle.loaded.manifest["limits"]["N"]
        self._most = longest if request.max_tokens is None else request.max_tokens
        if self._most > longest:
            raise UserError(
                f"max_tokens is from 1 to the {longest} that {request.model} was exported with "
                f"(--max-new-tokens). Received: {self._most}"
            )
        self._longest = longest
        self._uniforms = random_uniforms(len(self.prompts), self._most, request.seed)

    def head(self) -> dict[str, Any]:
        """What every answer, and every part of a stream, begins with."""
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._request.model,
        }

    async def choice(self, i: int) -> dict[str, Any]:
        """All that follows a prompt."""
        found, reason = "", "length"
        async for text, why in self.pieces(i, self._most):
            found, reason = found + text, why or reason
        return {"index": i, "text": found, "logprobs": None, "finish_reason": reason}

    async def pieces(self, i: int, most_a_part: int) -> AsyncIterator[tuple[str, str | None]]:
        """What follows a prompt, in parts of so many tokens: a text, and, with the last, why it
        ended.
        """
        request, uniforms = self._request, self._uniforms[i : i + 1]
        sampling = {
            "temperature": request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
        }
        stream = TextStream(self._stop)
        outputs = await self._prefill.answer(
            {"text": [self.prompts[i]], "uniform": uniforms[:, 0], **sampling}
        )
        written = 1
        TOKENS.labels(request.model).inc()
        while True:
            content = outputs["text"][0, : outputs["length"][0]].tobytes()
            text = stream.feed(content)
            ended = outputs["token"][0] == 0 or not content
            if stream.stopped or ended or written >= self._most:
                yield text + stream.finish(), "stop" if stream.stopped or ended else "length"
                return
            if text:
                yield text, None
            count = min(most_a_part, self._most - written)
            following = np.zeros((1, self._longest), "float32")
            following[:, :count] = uniforms[:, written : written + count]
            given = {"max_new_tokens": count, "uniforms": following}
            state = self._decode.spec.select_inputs(outputs)
            outputs = await self._decode.answer({**given, **sampling, **state})
            written += count
            TOKENS.labels(request.model).inc(count)

    async def events(self) -> AsyncIterator[str]:
        """A stream of server-sent events, prompt after prompt."""
        for i in range(len(self.prompts)):
            async for text, reason in self.pieces(i, TOKENS_A_PART):
                choice = {"index": i, "text": text, "logprobs": None, "finish_reason": reason}
                yield f"data: {json.dumps({**self.head(), 'choices': [choice]})}\n\n"
        yield "data: [DONE]\n\n"
