//! Messages over anonymous pipes, behind the Channel trait of the IPC toolkit.
