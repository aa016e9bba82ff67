"""fifo.py IN OUT: sends back through one FIFO what comes through the other."""
import sys

from frames import echo_frames

with open(sys.argv[1], "rb") as reader, open(sys.argv[2], "wb") as writer:  # waits until somebody sends
    print(echo_frames(reader, writer), "messages")
