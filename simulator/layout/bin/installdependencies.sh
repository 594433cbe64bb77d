#!/bin/bash
# The real one installs what .NET needs; the stand-in needs python3, which the image has.

if [ $EUID -ne 0 ]; then
    echo "Need to run with sudo privilege"
    exit 1
fi
command -v python3 >/dev/null || {
    echo "The stand-in needs python3"
    exit 1
}
