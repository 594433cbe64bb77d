#!/bin/bash

if [ $EUID -eq 0 ] && [ -z "$RUNNER_ALLOW_RUNASROOT" ]; then
    echo "Must not run with sudo"
    exit 1
fi

cd -P "${BASH_SOURCE[0]%/*}" || exit 1

# shellcheck source=simulator/layout/env.sh
source ./env.sh

shopt -s nocasematch
if [[ "$1" == "remove" ]]; then
    ./bin/Runner.Listener "$@"
else
    ./bin/Runner.Listener configure "$@"
fi
