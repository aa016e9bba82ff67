//! Messages through a shared-memory ring that can sleep, behind the Channel trait of the IPC toolkit.
