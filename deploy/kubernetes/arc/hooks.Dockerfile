# The image with GitHub's container hooks, for the scale sets' mode "kubernetes":
#   docker build --file hooks.Dockerfile --build-arg HOOKS_SHA256=… --tag gh-runner:ubuntu-hooks .
# GitHub's API has the checksum:
#   gh api repos/actions/runner-container-hooks/releases/tags/v0.7.0 --jq '.assets[] | .name + " " + .digest'

ARG BASE_IMAGE=gh-runner:ubuntu

FROM ${BASE_IMAGE}
ARG HOOKS_VERSION=0.7.0
ARG HOOKS_URL=https://github.com/actions/runner-container-hooks/releases/download
ARG HOOKS_SHA256
# The files are root's, so that no job can change what runs the next step.
RUN archive=/tmp/hooks.zip \
    && curl --fail --silent --show-error --location --retry 3 --output "$archive" \
        "$HOOKS_URL/v$HOOKS_VERSION/actions-runner-hooks-k8s-$HOOKS_VERSION.zip" \
    && echo "${HOOKS_SHA256:?the checksum of the archive is missing}  $archive" >"$archive.sum" \
    && sha256sum --check --quiet "$archive.sum" \
    && /opt/gh-runner/bin/python -m zipfile --extract "$archive" /home/runner/k8s \
    && test -f /home/runner/k8s/index.js \
    && chmod -R u=rwX,go=rX /home/runner/k8s \
    && rm "$archive" "$archive.sum"
