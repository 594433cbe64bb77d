# Bases that each have a defect: a build on them must stop, and name the defect.
ARG BASE_IMAGE=gh-runner-base:ubuntu
ARG SYSTEM_IMAGE=ubuntu:24.04

FROM ${BASE_IMAGE} AS no-python
RUN rm /usr/bin/python3

FROM ${BASE_IMAGE} AS old-python
RUN rm /usr/bin/python3 && \
    printf '#!/bin/sh\necho Python 3.10.9\nexit 1\n' >/usr/bin/python3 && \
    chmod 755 /usr/bin/python3

FROM ${BASE_IMAGE} AS no-venv
RUN rm -r /usr/lib/python3*/ensurepip

FROM ${BASE_IMAGE} AS old-coreutils
RUN printf '#!/bin/sh\nexit 125\n' >/usr/bin/env

FROM ${SYSTEM_IMAGE} AS bare

FROM ${BASE_IMAGE} AS no-user
RUN userdel runner
