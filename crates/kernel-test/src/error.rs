//! What can go wrong around a test, as opposed to in it.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why a test could not be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something that the harness needs.
    #[error("{what}: {source}")]
    System {
        /// The operation and its object.
        what: String,
        /// The system's error.
        source: io::Error,
    },

    /// This machine lacks Debian packages.
    #[error(
        "kernel tests need packages that this machine lacks ({names}): as root, run `{line}`; \
         PROXIER_SKIP_KERNEL_TESTS=1 skips these tests",
        names = packages.join(", "),
        line = crate::packages::install_line(packages)
    )]
    MissingPackages {
        /// Their names.
        packages: Vec<&'static str>,
    },

    /// The guest kernel did not start, stopped, or broke the protocol.
    #[error("the guest kernel {what}; the end of its console:\n{console}")]
    Guest {
        /// What happened.
        what: String,
        /// The end of what its console printed.
        console: String,
    },

    /// The test took longer than it may.
    #[error("still running after {seconds} s, stopped (`Test::time_limit` sets the limit)")]
    TimeLimit {
        /// The limit, in seconds.
        seconds: u64,
    },

    /// The test's process ended without a report.
    #[error("the test's process ended with no result: {status}")]
    NoResult {
        /// How it ended: exit status or signal.
        status: String,
    },
}

/// Adds what was being done to a system error.
pub(crate) trait Context<T> {
    /// Names the operation, with its object.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;

    /// Names the operation, on a file.
    fn at(self, verb: &str, path: &Path) -> Result<T, Error>
    where
        Self: Sized,
    {
        self.context(|| format!("{verb} {}", path.display()))
    }
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::System {
            what: what(),
            source: source.into(),
        })
    }
}

/// Prints a message of the harness itself on stderr.
#[expect(
    clippy::print_stderr,
    reason = "the harness's only messages of its own"
)]
pub(crate) fn print_notice(message: impl Display) {
    eprintln!("kernel-test: {message}");
}
