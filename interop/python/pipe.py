"""A child that answers on its standard output what comes on its standard input."""
import sys

from frames import echo_frames

echo_frames(sys.stdin.buffer, sys.stdout.buffer)
