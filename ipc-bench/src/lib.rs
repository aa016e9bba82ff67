//! Compares IPC mechanisms.
