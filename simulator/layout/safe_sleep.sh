#!/bin/bash
# safe_sleep.sh SECONDS: sleep that many seconds, each as long as bin/scale says (1 = a second).

read -r scale <"${BASH_SOURCE[0]%/*}/bin/scale"
for ((i = 0; i < $1; i++)); do
    sleep "$scale"
done
