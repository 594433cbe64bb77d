# GitHub's runner and the program that looks after it, on a base that Dockerfile.base.* makes.
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

FROM ${BASE_IMAGE}
ARG RUNNER_VERSION=2.336.0
ARG RUNNER_URL=https://github.com/actions/runner/releases/download
ARG RUNNER_SHA256=""
ARG TARGETARCH
RUN --mount=type=bind,source=image,target=/image \
    /image/install-runner
WORKDIR /home/runner
COPY --from=venv /opt/gh-runner /opt/gh-runner
# Last of all layers: ours is what changes most often.
COPY --from=package /package /

ENV AGENT_TOOLSDIRECTORY=/opt/hostedtoolcache \
    RUNNER_ENGINE=auto \
    RUNNER_VERSION=${RUNNER_VERSION} \
    RUNNER_TOOL_CACHE=/opt/hostedtoolcache
# There is no USER: PID 1 is root, jobs run as `runner`.
ENTRYPOINT ["/usr/bin/env", "--block-signal", "/opt/gh-runner/bin/python", "-I", "-m", "entrypoint"]
CMD []
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=2 \
    CMD ["/usr/local/bin/gh-runner", "status"]

ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
ARG BASE_IMAGE
LABEL org.opencontainers.image.title="gh-runner" \
    org.opencontainers.image.description="An ephemeral GitHub Actions runner in a container" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}"
