"""`python relay.py HOST PORT`: what a ProxyCommand of ssh does, by standard input and output."""

import os
import socket
import sys
import threading


def main(host: str, port: str) -> None:
    with socket.create_connection((host, int(port))) as connection:
        threading.Thread(target=_send, args=(connection,), daemon=True).start()
        while data := connection.recv(65_536):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _send(connection: socket.socket) -> None:
    while data := os.read(sys.stdin.fileno(), 65_536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(*sys.argv[1:])
