//! What can go wrong around a test, as opposed to in it.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why a test could not be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused something the harness needs.
    #[error("{what}: {source}")]
    System {
        /// What was being done, and to what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },

    /// There is no guest kernel and it could not be had.
    #[error(
        "{what}; these tests need a kernel with IPVS: run them as root on one, or install a guest \
         kernel with `apt-get install {packages}`, or skip them with PROXIER_SKIP_KERNEL_TESTS=1",
        packages = crate::packages::ALL
    )]
    NoGuestKernel {
        /// What is missing, and what was tried.
        what: String,
    },

    /// The guest kernel stopped, never started or spoke nonsense.
    #[error("the guest kernel {what}; its console said:\n{console}")]
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

    /// The test's process ended without saying how the test went.
    #[error("the test's process ended with no result: {status}")]
    NoResult {
        /// How it ended: exit status or signal.
        status: String,
    },
}

/// Adds what was being done to a system error.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;

    fn at(self, verb: &str, path: &Path) -> Result<T, Error>
    where
        Self: Sized,
    {
        self.doing(|| format!("{verb} {}", path.display()))
    }
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::System {
            what: what(),
            source: source.into(),
        })
    }
}

/// Tells the person at the terminal what the harness itself does.
#[expect(
    clippy::print_stderr,
    reason = "the harness's only messages of its own"
)]
pub(crate) fn say(message: impl Display) {
    eprintln!("kernel-test: {message}");
}
