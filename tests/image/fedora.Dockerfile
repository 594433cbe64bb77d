# What Dockerfile.base.fedora sees of Fedora where Fedora's mirrors are out of reach: its
# /etc/os-release, its group for sudo, no apt-get, and a `dnf` that writes down what it is told.
# The programs are Debian's, so that whatever comes after `dnf` really runs.
ARG BASE_IMAGE=gh-runner-base:ubuntu-slim
FROM ${BASE_IMAGE}
COPY fedora-release /etc/os-release
COPY --chmod=755 recording-dnf /usr/bin/dnf
RUN rm /etc/sudoers.d/runner /usr/bin/apt-get && userdel --remove runner && groupdel docker && \
    groupmod --new-name wheel sudo
ENV DEBIAN_FRONTEND="" ImageOS=""
