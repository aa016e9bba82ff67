//! Forked children.
