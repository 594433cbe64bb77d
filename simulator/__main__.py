"""`python -m simulator serve` runs the server; `python -m simulator dist` writes a runner."""

import argparse
import sys
from dataclasses import fields
from typing import Any

from simulator.distribution import Distribution, make_distribution, make_tar


def main(words: list[str]) -> None:
    """Run a command line."""
    options = vars(_parser().parse_args(words))
    command = options.pop("command")
    if command == "serve":
        # The server needs aiohttp, which writing a distribution does not.
        from simulator.hub.server import Options, serve  # noqa: PLC0415

        serve(Options(**options))
    else:
        _dist(options)


def _dist(options: dict[str, Any]) -> None:
    given = {name: value for name, value in options.items() if value is not None}
    directory, tar = given.pop("directory", None), given.pop("tar", None)
    if directory is not None:
        make_distribution(directory, **given)
    if tar is not None:
        make_tar(tar, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the stand-in for GitHub")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=0, help="0: any that is free")
    serve.add_argument(
        "--listen-fd", type=int, action="append", default=[], help="listen on this socket as well"
    )
    serve.add_argument("--ready-file", default="", help="where to write {url, pid} when ready")
    serve.add_argument("--ready-fd", type=int, default=-1, help="the same, to a descriptor")
    serve.add_argument("--tls-port", type=int, default=0, help="the port with --certificate")
    serve.add_argument("--certificate", default="", help="PEM file: serve TLS as well")
    serve.add_argument("--key", default="", help="PEM file of the certificate's key")
    serve.add_argument("--exit-with-stdin", action="store_true", help="end when stdin does")
    dist = commands.add_parser("dist", help="write a runner distribution")
    dist.add_argument("directory", nargs="?", help="where to write it")
    dist.add_argument("--tar", help="write it as this .tar.gz file")
    dist.add_argument("--scale", type=float, default=0.0, help="1: the real one's times; 0: none")
    dist.add_argument("--cancel-scale", type=float, help="the same for the times of a cancel")
    dist.add_argument("--owner", help="the user that shall own and run it")
    dist.add_argument("--interpreter", help="the Python that runs it")
    for field in fields(Distribution):
        name = "--" + field.name.replace("_", "-")
        kind = {"str": str, "int": int}.get(str(getattr(field.type, "__name__", field.type)), float)
        dist.add_argument(name, type=kind, required=field.name == "url")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
