"""queue_raw.py FILE: bytes of kind 1 go back as kind 2, until some are b'bye'."""
import sys

import sysv

REQUEST, ANSWER = 1, 2

queue = sysv.get(sysv.ftok(sys.argv[1], "q"))
text = b""
while text != b"bye":
    _, text = sysv.recv(queue, REQUEST)
    sysv.send(queue, ANSWER, text)
