#!/bin/bash
# What gh-runner takes the place of: a start script below dumb-init, with bash, curl and jq. It
# makes the same calls as runners' start scripts do, as fast as such a script can make them.
set -euo pipefail

if [ -n "${RUNNER_ENVFILE:-}" ]; then
    set -a
    # shellcheck source=/dev/null
    . "$RUNNER_ENVFILE"
    set +a
    rm -f "$RUNNER_ENVFILE"
fi
if [ -n "${GITHUB_PERSONAL_TOKEN_FILE:-}" ]; then
    GITHUB_PERSONAL_TOKEN=$(<"$GITHUB_PERSONAL_TOKEN_FILE")
fi

as_runner() {
    setpriv --reuid="$RUNNER_USER" --regid="$RUNNER_GROUP_ID" --init-groups -- "$@"
}

token() {
    curl --fail --silent --show-error --request POST \
        --header "Authorization: Bearer $GITHUB_PERSONAL_TOKEN" \
        --header "Accept: application/vnd.github+json" \
        "$GITHUB_API_URL/repos/$GITHUB_OWNER/$GITHUB_REPOSITORY/actions/runners/$1-token" |
        jq --raw-output .token
}

stop() {
    trap '' INT TERM
    as_runner ./config.sh remove --token "$(token remove)"
    kill "$runner"
    exit 143
}

cd "$RUNNER_HOME"
as_runner ./config.sh --unattended --replace --ephemeral --disableupdate \
    --url "https://github.com/$GITHUB_OWNER/$GITHUB_REPOSITORY" \
    --name "$RUNNER_NAME-$RANDOM" --token "$(token registration)" >/dev/null

trap stop INT TERM
as_runner ./run.sh &
runner=$!
wait "$runner"
