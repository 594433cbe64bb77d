# A Debian with what Dockerfile.base.fedora expects of Fedora: its /etc/os-release, its group for
# sudo, no apt-get, and a `dnf` that records its arguments. So no mirror of Fedora is needed, and
# the commands after `dnf` really run.
ARG BASE_IMAGE=gh-runner-base:ubuntu-slim
FROM ${BASE_IMAGE}
COPY fedora-release /etc/os-release
COPY --chmod=755 recording-dnf /usr/bin/dnf
RUN rm /etc/sudoers.d/runner /usr/bin/apt-get && userdel --remove runner && groupdel docker && \
    groupmod --new-name wheel sudo
ENV DEBIAN_FRONTEND="" ImageOS=""
