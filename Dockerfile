# The server of `python -m export serve`, without a model: no TensorFlow, no Keras.
#
#   docker build -t keras-seq-serve:0.1.0 .
#   docker run -p 8080:8080 -v "$PWD/bundles/sentiment:/mnt/models:ro" keras-seq-serve:0.1.0 \
#     sentiment=/mnt/models --host 0.0.0.0
#
# `python -m export deploy BUNDLE --target kserve` writes what puts a bundle in, and what runs it on
# Kubernetes.
FROM python:3.12-slim
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY keras_seq keras_seq
COPY export export
RUN pip install --no-cache-dir ".[serve]"
WORKDIR /
USER 1000
EXPOSE 8080 8081
ENTRYPOINT ["python", "-m", "export", "serve"]
CMD ["models=/mnt/models", "--host", "0.0.0.0"]
