//! Running the reference tools from a test.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

/// Runs a shell command and returns what it printed on stdout.
///
/// `cmd("ipvsadm -Sn")`, `cmd("ipset save | sort")`. It runs in the calling thread's network namespace,
/// with an empty stdin and `LC_ALL=C`.
///
/// # Panics
/// If the command fails, with the command, its status and all it printed.
#[track_caller]
pub fn cmd(line: &str) -> String {
    expect(try_cmd(line))
}

/// Like [`cmd`], with `input` on the command's stdin.
///
/// # Panics
/// As [`cmd`].
#[track_caller]
pub fn cmd_input(line: &str, input: &str) -> String {
    expect(try_cmd_input(line, input))
}

/// Like [`cmd`], for commands that may fail.
///
/// # Errors
/// [`CommandError`] if the command cannot be run or does not succeed.
pub fn try_cmd(line: &str) -> Result<String, CommandError> {
    try_cmd_input(line, "")
}

/// Like [`cmd_input`], for commands that may fail.
///
/// # Errors
/// [`CommandError`] if the command cannot be run or does not succeed.
pub fn try_cmd_input(line: &str, input: &str) -> Result<String, CommandError> {
    let failed = |failure| CommandError {
        line: line.to_owned(),
        failure,
    };
    let output = output(line, input).map_err(|error| failed(Failure::NotRun(error)))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(failed(Failure::Status {
        status: output.status,
        stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }))
}

fn output(line: &str, input: &str) -> io::Result<std::process::Output> {
    let mut child = Command::new("sh")
        .args(["-c", line])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // From another thread, because the command may print before it has read everything. A command
            // need not read its input at all (EPIPE).
            scope.spawn(move || stdin.write_all(input.as_bytes()));
        }
        child.wait_with_output()
    })
}

/// Loads a kernel module, with those it depends on.
///
/// # Panics
/// If that fails.
#[track_caller]
pub fn modprobe(name: &str) {
    cmd(&format!("modprobe -- '{name}'"));
}

/// Writes a shell script that can be run, as a stand-in for a tool. `text` is what comes after `#!/bin/sh`.
///
/// Another process writes the file. A program that is open for writing anywhere cannot be run (`ETXTBSY` of execve(2)), and a
/// program that another thread starts has this process's files open until its own exec.
///
/// # Panics
/// If the file cannot be written.
#[track_caller]
pub fn script(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref().display();
    cmd_input(
        &format!("{{ echo '#!/bin/sh'; cat; }} > '{path}' && chmod 755 '{path}'"),
        text,
    );
}

/// A command that failed.
pub struct CommandError {
    line: String,
    failure: Failure,
}

enum Failure {
    NotRun(io::Error),
    Status {
        status: ExitStatus,
        stdout: String,
        stderr: String,
    },
}

impl CommandError {
    /// The exit status; `None` if the command was not run or was killed by a signal.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match &self.failure {
            Failure::NotRun(_) => None,
            Failure::Status { status, .. } => status.code(),
        }
    }

    /// What the command printed on stderr.
    #[must_use]
    pub fn stderr(&self) -> &str {
        match &self.failure {
            Failure::NotRun(_) => "",
            Failure::Status { stderr, .. } => stderr,
        }
    }
}

/// The shell's exit status for a program that does not exist.
const NOT_FOUND: i32 = 127;

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command failed: {}", self.line)?;
        match &self.failure {
            Failure::NotRun(error) => write!(f, "\nnot run: {error}"),
            Failure::Status {
                status,
                stdout,
                stderr,
            } => {
                write!(f, "\n{status}")?;
                for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
                    if !text.is_empty() {
                        write!(f, "\n{name}: {}", text.trim_end())?;
                    }
                }
                if status.code() == Some(NOT_FOUND) {
                    write!(f, "\nto install: {}", crate::packages::install_all())?;
                }
                Ok(())
            }
        }
    }
}

/// The same text as [`Display`](fmt::Display), because tests `unwrap`.
impl fmt::Debug for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a helper for tests, which fail by panicking")]
pub(crate) fn expect(result: Result<String, CommandError>) -> String {
    match result {
        Ok(stdout) => stdout,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn returns_what_was_printed() {
        assert_eq!(cmd("echo out; echo err >&2"), "out\n");
        assert_eq!(cmd_input("tr a-z A-Z", "text"), "TEXT");
    }

    #[test]
    fn much_input_and_output_at_once_do_not_block() {
        let input = "x".repeat(1 << 20);
        assert_eq!(cmd_input("cat", &input), input);
        assert_eq!(cmd_input("true", &input), "");
    }

    /// While other threads start programs without a pause.
    #[test]
    fn a_script_can_be_run_as_soon_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        cmd("true");
                    }
                });
            }
            for number in 0..50 {
                let path = folder.path().join("a tool");
                script(&path, &format!("echo \"$1\" {number}"));
                let output = Command::new(&path).arg("run").output();
                let printed = output.map(|output| output.stdout);
                if !matches!(&printed, Ok(text) if *text == format!("run {number}\n").into_bytes())
                {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{printed:?}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_failure_shows_everything() {
        let error = try_cmd("echo out; echo err >&2; exit 3").unwrap_err();
        assert_eq!(error.code(), Some(3));
        assert_eq!(error.stderr(), "err\n");
        assert_eq!(
            error.to_string(),
            "command failed: echo out; echo err >&2; exit 3\nexit status: 3\nstdout: out\nstderr: err"
        );
    }

    #[test]
    fn a_missing_program_names_the_packages() {
        let text = try_cmd("no-such-program -x").unwrap_err().to_string();
        let line = "apt-get install --no-install-recommends user-mode-linux ipset";
        assert!(text.contains(line), "{text}");
    }
}
