//! What can go wrong.

/// Everything this crate's functions can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A kernel release does not start with two numbers.
    #[error(
        "kernel release {release:?}: expected what `uname -r` prints, such as 5.15.0-91-generic"
    )]
    KernelRelease {
        /// The text as it was given.
        release: String,
    },

    /// A text cannot be the name of a module.
    #[error(
        "module name {name:?}: expected 1 to 55 ASCII letters, digits, `_`, `-`, `+` or `.`, \
         starting with a letter, a digit or `_`"
    )]
    ModuleName {
        /// The text as it was given.
        name: String,
    },
}
