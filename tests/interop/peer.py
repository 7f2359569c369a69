"""The other end of the tests, in Python: the same protocol as peer.c.

It prints names as Python gives them: the type, and its bytes in hexadecimal. A `str` is a path (or
no name, if it is empty), `bytes` are an abstract name with its NUL in front, None is a sender
without a name.

    peer.py server TYPE NAME          [mute]
    peer.py client TYPE NAME THEIRS   [mute]
    peer.py refuse TYPE NAME

`refuse` tries to bind, to connect and to send to NAME, and prints each error.
"""

import os
import signal
import socket
import sys

PAYLOAD = bytes(range(256))
TYPES = {
    "stream": socket.SOCK_STREAM,
    "dgram": socket.SOCK_DGRAM,
    "seqpacket": socket.SOCK_SEQPACKET,
}


def name_of(text):
    """What Python wants of a sockaddr_un in hexadecimal."""
    sun_path = bytes.fromhex(text)[2:]
    if sun_path == b"":
        return ""  # Python's word for autobind, since 3.11.0.
    if sun_path.startswith(b"\0"):
        return sun_path
    return sun_path.rstrip(b"\0")


def tell(key, *words):
    print(key, *words, flush=True)


def tell_name(key, name):
    if name is None:
        tell(key, "none", "-")
    elif isinstance(name, str):
        tell(key, "str", os.fsencode(name).hex() or "-")
    else:
        tell(key, "bytes", name.hex() or "-")


def receive(sock, kind):
    data, sender = sock.recvfrom(512)
    while kind == "stream" and len(data) < len(PAYLOAD):
        more = sock.recv(len(PAYLOAD) - len(data))
        if not more:
            break
        data += more
    tell_name("from", sender)
    tell("data", data.hex())
    return data, sender


def serve(sock, kind, mute):
    if kind == "dgram":
        tell_name("ready", sock.getsockname())
        data, sender = receive(sock, kind)
        if not mute:
            sock.sendto(data[::-1], sender)
        return
    sock.listen(8)
    tell_name("ready", sock.getsockname())
    connection, sender = sock.accept()
    tell_name("accepted", sender)
    tell_name("local", connection.getsockname())
    tell_name("peer", connection.getpeername())
    data, _ = receive(connection, kind)
    if not mute:
        connection.sendall(data[::-1])


def ask(sock, kind, theirs, mute):
    if kind == "dgram":
        sock.sendto(PAYLOAD, theirs)
    sock.connect(theirs)
    tell_name("ready", sock.getsockname())
    tell_name("peer", sock.getpeername())
    if kind != "dgram":
        sock.sendall(PAYLOAD)
    if not mute:
        receive(sock, kind)


def refuse(sock, name):
    for call in (sock.bind, sock.connect, lambda name: sock.sendto(PAYLOAD, name)):
        try:
            call(name)
            tell("accepted")
        except OSError as error:
            tell("refused", error)


def main():
    signal.alarm(30)  # A test that failed leaves nothing running for long.
    role, kind, name = sys.argv[1:4]
    rest = sys.argv[4:]
    sock = socket.socket(socket.AF_UNIX, TYPES[kind])
    if role == "refuse":
        refuse(sock, name_of(name))
        return
    if name != "-":
        sock.bind(name_of(name))
    mute = rest[-1:] == ["mute"]
    if role == "client":
        ask(sock, kind, name_of(rest[0]), mute)
    else:
        serve(sock, kind, mute)


main()
