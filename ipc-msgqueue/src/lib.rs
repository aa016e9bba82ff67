//! System V message queues: ftok, typed send and selective receive, behind the Channel trait of the IPC toolkit.
