"""The other end of descriptors and credentials, in Python: the same protocol as fds.c.

`take` and `give` are by `recv_fds` and `send_fds`, the others by `recvmsg` and `sendmsg`.
"""

import os
import signal
import socket
import struct
import sys

MOST = 253
UCRED = struct.Struct("=iII")


def tell(*words):
    print(*words, flush=True)


def make(count):
    fds = []
    for number in range(count):
        fd = os.memfd_create("given")
        os.write(fd, b"file %d" % number)
        os.lseek(fd, 0, os.SEEK_SET)
        print("made", os.fstat(fd).st_ino)
        fds.append(fd)
    sys.stdout.flush()
    return fds


def rights(fds):
    return (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=%di" % len(fds), *fds))


def give(sock, role, count):
    fds = make(count)
    if role == "give":
        sent = socket.send_fds(sock, [b"given"], fds)
    elif role == "split":
        sent = sock.sendmsg([b"given"], [rights(fds[:1]), rights(fds[1:])])
    else:
        me = UCRED.pack(os.getpid(), os.getuid(), os.getgid())
        credentials = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, me)
        sent = sock.sendmsg([b"given"], [credentials, rights(fds)])
    assert sent == 5, sent


def take(sock):
    tell("ready")
    data, fds, flags, _ = socket.recv_fds(sock, 64, MOST)
    assert not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC), flags
    tell("data", data.decode())
    return fds


def ask(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    tell("ready")
    room = socket.CMSG_SPACE(UCRED.size) + socket.CMSG_SPACE(4 * MOST)
    data, messages, flags, _ = sock.recvmsg(64, room)
    assert not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC), flags
    tell("data", data.decode())
    tell("types", *(kind for _, kind, _ in messages))
    fds = []
    for level, kind, payload in messages:
        assert level == socket.SOL_SOCKET, level
        if kind == socket.SCM_CREDENTIALS:
            tell("credentials", *UCRED.unpack(payload))
        elif kind == socket.SCM_RIGHTS:
            fds += struct.unpack("=%di" % (len(payload) // 4), payload)
    return fds


def main():
    signal.alarm(30)  # A test that failed leaves nothing running for long.
    role, count = sys.argv[1], int(sys.argv[2])
    sock = socket.socket(fileno=0)
    if role not in ("take", "ask"):
        give(sock, role, count)
        return
    fds = take(sock) if role == "take" else ask(sock)
    for fd in fds:
        print("file", os.fstat(fd).st_ino, os.read(fd, 64).decode())
    assert len(fds) == count, fds


main()
