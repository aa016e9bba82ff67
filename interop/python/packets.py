"""packets.py call|serve unix:///run/app.sock | unix://@app: messages over a seqpacket socket.

A packet is one frame, length and all: so an empty message is no empty packet, which would look like the end.
"""
import socket
import struct
import sys

from frames import address

LONGEST = 1 << 20


def send_packet(end, message):
    end.sendall(struct.pack(">I", len(message)) + message)


def recv_packet(end):
    """The next message, or None when the peer has closed."""
    packet = end.recv(LONGEST)
    if not packet:
        return None
    (length,) = struct.unpack(">I", packet[:4])
    assert length == len(packet) - 4
    return packet[4:]


def call(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(name)
        messages = [b"", b"hello", b"\0\xff\n", b"x" * 100_000] + [b"request %d" % i for i in range(1000)]
        for message in messages:  # one at a time: neither side reads while it waits for room
            send_packet(server, message)
            assert recv_packet(server) == message
    print("all answered")


def serve(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(name)
        listener.listen()
        print("listening", flush=True)
        client, _ = listener.accept()
    count = 0
    with client:
        while (message := recv_packet(client)) is not None:
            send_packet(client, message)
            count += 1
    print(count, "messages")


if __name__ == "__main__":
    {"call": call, "serve": serve}[sys.argv[1]](address(sys.argv[2])[1])
