"""System V queues through the C library: the standard library has none."""
import ctypes
import os

IPC_NOWAIT, MSG_EXCEPT = 0o4000, 0o20000
MSGMAX = 8192
libc = ctypes.CDLL(None, use_errno=True)
libc.msgrcv.restype = ctypes.c_ssize_t
libc.msgrcv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]
libc.msgsnd.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Message(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_long), ("text", ctypes.c_char * MSGMAX)]


def check(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def ftok(path, project):
    return libc.ftok(os.fsencode(path), ctypes.c_int(ord(project)))


def get(key):
    return check(libc.msgget(ctypes.c_int(key), 0))


def send(queue, kind, text, flags=0):
    message = Message(kind)
    ctypes.memmove(ctypes.addressof(message) + Message.text.offset, text, len(text))
    check(libc.msgsnd(queue, ctypes.byref(message), len(text), flags))


def recv(queue, selection=0, flags=0):
    message = Message()
    length = check(libc.msgrcv(queue, ctypes.byref(message), MSGMAX, selection, flags))
    return message.kind, ctypes.string_at(ctypes.addressof(message) + Message.text.offset, length)
