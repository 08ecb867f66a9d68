"""A company behind TLS on this machine, with a certificate that a test makes: good, or one that has expired."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(file: Path, *, days_left: int, host: str = "localhost") -> Path:
    """A certificate that is its own authority, and its key, in one file."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, file.stem)])
    key = ec.generate_private_key(ec.SECP256R1())
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days_left)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


class Server:
    """Answers each `{}` that is posted with 200 and `{}`; `certificate` may be replaced while it runs, `got` counts what arrived."""

    def __init__(self, line: socket.socket, file: Path) -> None:
        self.line, self.certificate, self.got = line, file, 0
        self.url = f"https://localhost:{line.getsockname()[1]}/pay"

    def serve(self) -> None:
        """Until its socket is closed."""
        with suppress(OSError):
            while True:
                self._answer(self.line.accept()[0])

    def _answer(self, peer: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        peer.settimeout(5)
        with suppress(OSError), peer, context.wrap_socket(peer, server_side=True) as line:
            heard = b""
            while not heard.endswith(b"{}"):
                heard += line.recv(65536) or b"{}"
            if b"POST" in heard:
                self.got += 1
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


@contextmanager
def behind_tls(file: Path) -> Iterator[Server]:
    """A server on a free port, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as line:
        server = Server(line, file)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        line.shutdown(socket.SHUT_RDWR)
    thread.join(5)
