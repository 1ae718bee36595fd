//! Answers that no API server gives.

use super::ApiServer;

impl ApiServer {
    /// Sends a line of so many bytes on each watch.
    pub(crate) fn send_long_lines(&self, bytes: usize) {
        self.change(|state| {
            state.long_lines += 1;
            state.long_line = bytes;
        });
    }

    /// Sends a line as it is on the watches of a path that there are, and on each that begins.
    pub(crate) fn send_line(&self, path: &str, line: &str) {
        let line = (path.to_owned(), format!("{line}\n"));
        self.change(|state| state.odd_lines.push(line));
    }

    /// Sends no such lines any more.
    pub(crate) fn forget_lines(&self) {
        self.change(|state| state.odd_lines.clear());
    }

    /// Answers that fail ask to be left alone for so many seconds.
    pub(crate) fn retry_after(&self, seconds: Option<u64>) {
        self.change(|state| state.faults.retry_after = seconds);
    }
}
