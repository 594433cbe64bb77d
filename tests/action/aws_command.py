"""A stand-in for the `aws` command: it takes the same words, and answers at once.

It takes only the options that the action uses. It passes its command line and its environment to
the stand-in for ECS, so that a test can look for secrets in them.
"""

import http.client
import json
import os
import sys

NO_CREDENTIALS = (
    'Unable to locate credentials. You can configure credentials by running "aws login".'
)
OPTIONS = ("--cli-input-json", "--output", "--cli-connect-timeout", "--cli-read-timeout")


def _fail(words: str, code: int) -> None:
    sys.stderr.write(f"\n{words}\n")
    sys.exit(code)


def _options(words: list[str]) -> dict[str, str]:
    found = dict(zip(words[::2], words[1::2], strict=True))
    region = found.pop("--region", None) or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        _fail(
            'You must specify a region. You can also run "aws configure".',
            253,
        )
    if tuple(found) != OPTIONS or found["--output"] != "json":
        _fail(f"aws: error: unknown options {list(found)}", 252)
    return found


def main() -> None:
    """Pass the command to the stand-in for ECS, and print its answer."""
    service, operation, *words = sys.argv[1:]
    options = _options(words)
    if not os.environ.get("AWS_ACCESS_KEY_ID"):
        _fail(NO_CREDENTIALS, 253)
    path = options["--cli-input-json"].removeprefix("file://")
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    if os.stat(path).st_mode & 0o077:
        _fail("the request can be read by others", 252)
    body = {
        "operation": f"{service} {operation}",
        "request": request,
        "argv": sys.argv,
        "environ": dict(os.environ),
    }
    host = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    try:
        connection.request("POST", "/", json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except OSError:
        _fail(f'Could not connect to the endpoint URL: "http://{host}/"', 255)
    if response.status != 200:
        name = "".join(part.capitalize() for part in operation.split("-"))
        called = f"when calling the {name} operation"
        _fail(f"An error occurred ({answer['__type']}) {called}: {answer['message']}", 254)
    sys.stdout.write(json.dumps(answer, indent=4) + "\n")


main()
