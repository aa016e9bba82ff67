"""Messages over a stream: unix socket, TCP, FIFO, pipe. A frame is a length of 4 bytes, big-endian, and the message.

Streams here are binary files: `socket.makefile("rwb")`, `open(path, "rb")`, `sys.stdin.buffer`.
"""
import struct


def send_frame(stream, message):
    stream.write(struct.pack(">I", len(message)) + message)
    stream.flush()


def recv_frame(stream):
    """The next message, or None when the peer has closed between two of them."""
    head = stream.read(4)
    if not head:
        return None
    if len(head) == 4:
        (length,) = struct.unpack(">I", head)
        message = stream.read(length)
        if len(message) == length:
            return message
    raise EOFError("the stream ended inside a frame")


def echo_frames(reader, writer):
    """Sends back what comes, until the peer closes."""
    count = 0
    while (message := recv_frame(reader)) is not None:
        send_frame(writer, message)
        count += 1
    return count


def address(text):
    """The family and the name of unix:///run/app.sock, unix://@app or tcp://127.0.0.1:9501."""
    import socket

    scheme, name = text.split("://")
    if scheme == "unix":
        return socket.AF_UNIX, "\0" + name[1:] if name[0] == "@" else name  # an abstract name
    host, port = name.rsplit(":", 1)
    return socket.AF_INET, (host, int(port))
