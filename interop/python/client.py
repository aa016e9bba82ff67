"""client.py unix:///run/app.sock | unix://@app | tcp://127.0.0.1:9501: many requests under way at once."""
import socket
import sys

from frames import address, recv_frame, send_frame

# As many as the sockets' buffers hold. With more, server and client may both wait for the other to read.
UNDER_WAY = 100

family, name = address(sys.argv[1])
with socket.socket(family) as server:
    server.connect(name)
    reader, writer = server.makefile("rb"), server.makefile("wb")
    messages = [b"", b"hello", b"\0\xff\n", b"x" * 100_000]
    messages += [b"request %d" % i for i in range(10_000)]
    for i, message in enumerate(messages):
        if i >= UNDER_WAY:
            assert recv_frame(reader) == messages[i - UNDER_WAY]
        send_frame(writer, message)
    server.shutdown(socket.SHUT_WR)  # that was all; answers still come
    for message in messages[-UNDER_WAY:]:
        assert recv_frame(reader) == message
    assert recv_frame(reader) is None
print("all answered")
