//! The reference tools, fed from a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A tool that reads commands from its standard input, and a file of them.
pub(crate) struct Tool {
    line: &'static [&'static str],
    input: PathBuf,
}

impl Tool {
    /// This command line, fed with this text.
    pub(crate) fn new(line: &'static [&'static str], name: &str, text: &str) -> Self {
        let input = std::env::temp_dir().join(name);
        std::fs::write(&input, text).expect("a file is written");
        Self { line, input }
    }

    /// Runs it; returns the time from its start to its end.
    pub(crate) fn run(&self) -> Duration {
        let start = Instant::now();
        self.command(&[]);
        start.elapsed()
    }

    /// Runs it; returns the system calls it makes, counted by strace where there is one.
    pub(crate) fn calls(&self) -> Option<f64> {
        let counts = std::env::temp_dir().join("strace-counts");
        let file = counts.to_str()?;
        if !Path::new("/usr/bin/strace").exists() {
            self.command(&[]);
            return None;
        }
        self.command(&["strace", "-f", "-c", "-U", "calls,name", "-o", file]);
        let text = std::fs::read_to_string(&counts).ok()?;
        let total = text.lines().find(|line| line.ends_with("total"))?;
        total.split_whitespace().next()?.parse().ok()
    }

    fn command(&self, before: &[&str]) {
        let mut words = before.iter().chain(self.line);
        let output = Command::new(words.next().expect("a program"))
            .args(words)
            .stdin(File::open(&self.input).map_or_else(|_| Stdio::null(), Stdio::from))
            .output()
            .expect("a tool starts");
        assert!(output.status.success(), "{:?}: {output:?}", self.line);
    }
}
