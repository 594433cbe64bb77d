#!/bin/bash
# Sourced by config.sh: keeps what jobs need of the environment in .env, and the PATH in .path.

: >>.env
saved=$(<.env)
for name in LANG JAVA_HOME ANT_HOME M2_HOME ANDROID_HOME ANDROID_SDK_ROOT GRADLE_HOME NVM_BIN \
    NVM_PATH LD_LIBRARY_PATH PERL5LIB; do
    if [[ -n "${!name}" && "$saved" != *"$name="* ]]; then
        echo "$name=${!name}" >>.env
    fi
done
echo "$PATH" >.path
