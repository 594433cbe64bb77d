"""An HTTP/1.1 client on one connection without TLS that stays open; bodies are JSON."""

from _socket import IPPROTO_TCP, TCP_NODELAY, getaddrinfo, socket

from . import codec

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .program import Settings

STATUS_NAMES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    422: "UnprocessableEntity",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}
SOCK_STREAM = 1


class Answer:
    """An answer: its status, its headers with names in lower case, its body."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text

    def json(self) -> "Any":
        """Return the value of the body; ValueError if it is no JSON."""
        return codec.loads(self.text)

    @property
    def name(self) -> str:
        """The status as .NET names it."""
        return STATUS_NAMES.get(self.status, str(self.status))


class Connection:
    """A connection that a request opens if it is not open."""

    def __init__(self, settings: "Settings") -> None:
        _, _, authority = settings.url.partition("://")
        self.host, _, port = authority.rstrip("/").rpartition(":")
        self.port = int(port)
        self.agent = f"GitHubActionsRunner-linux-x64/{settings.version}"
        self._socket: socket | None = None
        self._buffer = b""

    def request(
        self, method: str, path: str, body: "Any" = None, authorization: str = ""
    ) -> Answer:
        """Send a request and return its answer; OSError if the connection fails."""
        self.send(method, path, body, authorization)
        return self.receive()

    def send(self, method: str, path: str, body: "Any" = None, authorization: str = "") -> None:
        """Send a request and do not wait; OSError, and no connection, if that fails."""
        data = b"" if body is None else codec.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"User-Agent: {self.agent}", f"Content-Length: {len(data)}"]
        if body is not None:
            lines.append("Content-Type: application/json; charset=utf-8")
        if authorization:
            lines.append("Authorization: " + authorization)
        try:
            self._open().sendall("\r\n".join([*lines, "", ""]).encode() + data)
        except OSError:
            self.close()
            raise

    def receive(self) -> Answer:
        """Return the answer to the request; OSError if the server hangs up first."""
        try:
            head = self._read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            headers = {}
            for line in head[1:]:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = self._read(int(headers.get("content-length", "0")))
        except OSError:
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(head[0].split(" ")[1]), headers, body.decode())

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when an answer begins; -1 if closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """Close the connection; an answer that has not come is lost."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    def _open(self) -> socket:
        if self._socket is None:
            family, kind, protocol, _, address = getaddrinfo(self.host, self.port, 0, SOCK_STREAM)[
                0
            ]
            opened = socket(family, kind, protocol)
            opened.connect(address)
            opened.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._socket = opened
        return self._socket

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _fill(self) -> None:
        if self._socket is None:
            raise OSError("The connection is closed")
        data = self._socket.recv(65536)
        if not data:
            raise OSError("The response ended prematurely.")
        self._buffer += data
