//! What a daemon logs, as it logs it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStderr, Stdio};
use std::time::Instant;

use crate::daemon::{Daemon, Setup};

/// The lines of its log. To wait for one takes nothing of the processor that the daemon needs; to look for it in a file, or for
/// its effect in metrics and in the kernel, again and again, made a start take twice as long where there is one processor.
pub(crate) struct Lines {
    pipe: BufReader<ChildStderr>,
    /// All that was read.
    read: String,
}

impl Setup {
    /// Starts it with a log that is read line by line, and with more flags.
    pub(crate) fn start_with_lines(&self, flags: &[&str]) -> (Daemon, Lines) {
        let mut command = self.command();
        command.args(flags).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Lines {
            pipe: BufReader::new(child.stderr.take().unwrap()),
            read: String::new(),
        };
        (Daemon::of(child), lines)
    }
}

impl Lines {
    /// Waits for a line with this text, and gives when it came. Lines before it are passed over.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> Instant {
        loop {
            let before = self.read.len();
            let more = self.pipe.read_line(&mut self.read).unwrap();
            assert!(more > 0, "it ended before {text:?}: {}", self.read);
            if self.read[before..].contains(text) {
                return Instant::now();
            }
        }
    }

    /// All of it, once the process has ended.
    pub(crate) fn rest(&mut self) -> &str {
        self.pipe.read_to_string(&mut self.read).unwrap();
        &self.read
    }

    /// All that was read so far.
    pub(crate) fn read(&self) -> &str {
        &self.read
    }
}
