//! Messages over unix stream, unix seqpacket and TCP sockets, behind the Channel trait of the IPC toolkit.
