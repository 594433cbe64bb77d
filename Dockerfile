# GitHub's runner and our program as PID 1, on a base that Dockerfile.base.* makes.
#   docker build --tag gh-runner:ubuntu .

ARG BASE_IMAGE=gh-runner-base:ubuntu

FROM ${BASE_IMAGE} AS venv
# A signal that comes while Python starts must not be lost.
RUN env --block-signal true || { echo "coreutils 8.31 or later is needed" >&2; exit 1; }
ARG PIP_INDEX_URL
RUN --mount=type=bind,source=image,target=/image \
    --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    /image/make-venv /opt/gh-runner /requirements.lock

FROM venv AS package
RUN --mount=type=bind,source=image,target=/image \
    --mount=type=bind,source=entrypoint,target=/entrypoint \
    /image/lay-out-package /package

# Which release of GitHub's runner: the newest, unless these arguments pin one. The build cache
# keeps the answer as long as RUNNER_LOOKUP, which may be any word, stays the same.
FROM venv AS release
ARG RUNNER_VERSION=""
ARG RUNNER_SHA256=""
ARG RUNNER_RELEASED=""
ARG RUNNER_API_URL=""
ARG RUNNER_LOOKUP=""
RUN --mount=type=bind,source=image,target=/image \
    /opt/gh-runner/bin/python /image/choose_runner.py >/runner-release

FROM ${BASE_IMAGE}
ARG RUNNER_URL=https://github.com/actions/runner/releases/download
ARG TARGETARCH
# The release is mounted as a file: its content decides whether this layer is built again.
RUN --mount=type=bind,source=image,target=/image \
    --mount=type=bind,from=release,source=/runner-release,target=/runner-release \
    /image/install-runner /runner-release
WORKDIR /home/runner
COPY --from=venv /opt/gh-runner /opt/gh-runner
# The last layer is our program, because it changes most often.
COPY --from=package /package /

ENV AGENT_TOOLSDIRECTORY=/opt/hostedtoolcache \
    RUNNER_ENGINE=auto \
    RUNNER_TOOL_CACHE=/opt/hostedtoolcache
# There is no USER: PID 1 is root, and jobs run as `runner`.
ENTRYPOINT ["/usr/bin/env", "--block-signal", "/usr/local/bin/gh-runner"]
CMD []
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=2 \
    CMD ["/usr/local/bin/gh-runner", "status"]

ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
ARG BASE_IMAGE
# A label cannot come from a file, so scripts/build-image chooses the release before the build.
ARG RUNNER_VERSION=""
ARG RUNNER_RELEASED=""
LABEL org.opencontainers.image.title="gh-runner" \
    org.opencontainers.image.description="An ephemeral GitHub Actions runner in a container" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}" \
    gh-runner.runner.version="${RUNNER_VERSION:-see /etc/gh-runner-release}" \
    gh-runner.runner.released="${RUNNER_RELEASED:-see /etc/gh-runner-release}"
