"""Servers that fail before HTTP: TLS with doubtful certificates, proxies that refuse."""

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[int]:
    """Serve each connection by `talk` in a thread; the value is the port on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, talk))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # wakes accept(2); close(2) alone does not
            thread.join()


def _serve(listening: socket.socket, talk: Talk) -> None:
    threads = []
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threads.append(threading.Thread(target=_talk, args=(connection, talk)))
            threads[-1].start()
    for thread in threads:
        thread.join()


def _talk(connection: socket.socket, talk: Talk) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(20)
        talk(connection)


def tls(certificate: Path) -> Talk:
    """Shake hands, and say nothing more."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1)

    return talk


def says(answer: str, heard: list[str] | None = None) -> Talk:
    """Give every request the same answer, and append each request to `heard`."""

    def talk(connection: socket.socket) -> None:
        request = connection.recv(65536).decode()
        if heard is not None:
            heard.append(request)
        connection.sendall(answer.replace("\n", "\r\n").encode())

    return talk


def proxy(upstream: int, heard: list[str]) -> Talk:
    """Send requests for any host to one port on 127.0.0.1; `heard` gets their first lines."""

    def talk(connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", upstream), timeout=20) as server:
            back = threading.Thread(target=_copy, args=(server, connection))
            back.start()
            while request := connection.recv(65536):
                heard.append(request.decode().partition("\r\n")[0])
                server.sendall(request)
            server.shutdown(socket.SHUT_WR)
            back.join()

    return talk


def tunnel(upstream: int, heard: list[str], login: str = "") -> Talk:
    """Open tunnels for any host to one port on 127.0.0.1, and append each request to `heard`.

    With a `login`, NAME:PASSWORD, only requests with that login get a tunnel.
    """
    wanted = f"Proxy-Authorization: Basic {base64.b64encode(login.encode('latin-1')).decode()}\r\n"

    def talk(connection: socket.socket) -> None:
        opening = ""
        while not opening.endswith("\r\n\r\n"):
            opening += connection.recv(65536).decode()
        heard.append(opening)
        if login and wanted not in opening:
            connection.sendall(b"HTTP/1.1 407 Log in\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", upstream), timeout=20) as server:
            connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(server, connection))
            back.start()
            _copy(connection, server)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    return talk


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes from one socket to the other until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
