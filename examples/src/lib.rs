//! Runnable examples of every crate of this workspace: see `src/bin`.
