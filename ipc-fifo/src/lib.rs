//! Messages over named FIFOs, behind the Channel trait of the IPC toolkit.
