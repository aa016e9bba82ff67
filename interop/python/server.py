"""server.py unix:///run/app.sock | tcp://127.0.0.1:0: serves one client, and says what it has served."""
import socket
import sys

from frames import address, echo_frames

family, name = address(sys.argv[1])
with socket.socket(family) as listener:
    listener.bind(name)
    listener.listen()
    name = listener.getsockname()
    print(name if family == socket.AF_UNIX else "%s:%d" % name, flush=True)  # the port, where it was 0
    client, _ = listener.accept()
with client:
    print(echo_frames(client.makefile("rb"), client.makefile("wb")), "messages")
