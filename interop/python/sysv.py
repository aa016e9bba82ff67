"""System V queues through the C library: the standard library has none."""
import ctypes
import os

IPC_NOWAIT, MSG_EXCEPT = 0o4000, 0o20000
KIND = ctypes.sizeof(ctypes.c_long)  # a message begins with it
with open("/proc/sys/kernel/msgmax") as msgmax:
    MSGMAX = int(msgmax.read())
libc = ctypes.CDLL(None, use_errno=True)
libc.msgrcv.restype = ctypes.c_ssize_t
libc.msgrcv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]
libc.msgsnd.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def check(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def ftok(path, project):
    return libc.ftok(os.fsencode(path), ctypes.c_int(ord(project)))


def get(key):
    return check(libc.msgget(ctypes.c_int(key), 0))


def send(queue, kind, text, flags=0):
    check(libc.msgsnd(queue, bytes(ctypes.c_long(kind)) + text, len(text), flags))


def recv(queue, selection=0, flags=0):
    message = ctypes.create_string_buffer(KIND + MSGMAX)
    length = check(libc.msgrcv(queue, message, MSGMAX, selection, flags))
    return ctypes.c_long.from_buffer(message).value, message[KIND:KIND + length]
