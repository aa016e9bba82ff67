"""fds.py unix:///run/app.sock unix|seqpacket: descriptors that come with a message, and go with the answer.

One frame a call: on a stream they belong to the last frame that begins in what the kernel hands out with them.
"""
import os
import socket
import struct
import sys
import tempfile

from frames import address

kind = {"unix": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}[sys.argv[2]]
MOST = 16
waiting, text = b"", b""


def recv_frame(server):
    """The next message, and the descriptors that came by then."""
    global waiting
    fds = []
    while len(waiting) < 4 or len(waiting) < 4 + struct.unpack(">I", waiting[:4])[0]:
        data, more, flags, _ = socket.recv_fds(server, 65536, MOST)
        assert data and not flags & socket.MSG_CTRUNC
        waiting, fds = waiting + data, fds + list(more)
    end = 4 + struct.unpack(">I", waiting[:4])[0]
    message, waiting = waiting[4:end], waiting[end:]
    return message, fds


def send_frame(server, message, fds=()):
    frame = struct.pack(">I", len(message)) + message
    socket.send_fds(server, [frame], fds)


with socket.socket(socket.AF_UNIX, kind) as server, tempfile.TemporaryFile() as joined:
    server.connect(address(sys.argv[1])[1])
    while not text:
        message, fds = recv_frame(server)
        for fd in fds:
            with open(fd, "rb") as file:
                file.seek(0)
                text += file.read()
    assert text == b"onetwo"
    while message != b"after":
        message, _ = recv_frame(server)
    os.write(joined.fileno(), text)
    send_frame(server, b"without")
    send_frame(server, b"with", [joined.fileno()])
    send_frame(server, b"")
