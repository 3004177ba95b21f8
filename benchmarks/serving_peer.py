"""A sentiment server as a tutorial writes one with FastAPI and onnxruntime; see `serving`.

python -m benchmarks.serving_peer BUNDLE PORT
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

MAX_LENGTH = 320

app = FastAPI()
folder = Path(sys.argv[1])
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
session = onnxruntime.InferenceSession(str(folder / "onnx" / "classify.onnx"))


class Review(BaseModel):
    """What is asked."""

    text: str


@app.post("/predict")
def predict(review: Review) -> dict:
    """The probabilities of one text."""
    ids = tokenizer.encode(review.text).ids[:MAX_LENGTH]
    (found,) = session.run(None, {"token_ids": np.array([ids], "int32")})
    return {"probabilities": found[0].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
