//! Running a program without trusting it to end or to be brief.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Most of the program's stderr that is kept, in bytes. The rest is read and dropped.
const KEPT: usize = 8 << 10;

/// How long to wait for output before checking again whether the program has ended.
const INTERVAL: Duration = Duration::from_millis(10);

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    /// The start of what it printed to stderr.
    pub(crate) stderr: String,
}

/// Runs a program to its end, with nothing on stdin and stdout. `None` if it was still running when
/// `is_over` said so: it and its children are killed then.
pub(crate) fn run(
    program: &Path,
    arguments: &[&str],
    is_over: impl FnMut() -> bool,
) -> Result<Option<Output>, io::Error> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let output = supervise(&mut child, is_over);
    if !matches!(output, Ok(Some(_))) {
        kill(&mut child);
    }
    output
}

fn supervise(
    child: &mut Child,
    mut is_over: impl FnMut() -> bool,
) -> Result<Option<Output>, io::Error> {
    let mut stderr = child.stderr.take();
    let mut kept = Vec::new();
    loop {
        if let Some(status) = child.try_wait()? {
            // What it printed is in the pipe now; a child of its own may still hold the other end.
            if let Some(pipe) = &mut stderr {
                while kept.len() < KEPT
                    && read(pipe, &mut kept, Duration::ZERO)?.is_some_and(|length| length > 0)
                {
                }
            }
            let stderr = String::from_utf8_lossy(&kept).trim().to_owned();
            return Ok(Some(Output { status, stderr }));
        }
        if is_over() {
            return Ok(None);
        }
        match &mut stderr {
            Some(pipe) => {
                if read(pipe, &mut kept, INTERVAL)? == Some(0) {
                    stderr = None;
                }
            }
            None => sleep(INTERVAL),
        }
    }
}

/// Waits this long at most for output, reads what has arrived and returns its length: 0 at the end of
/// the pipe, `None` if nothing arrived.
fn read(
    pipe: &mut ChildStderr,
    kept: &mut Vec<u8>,
    wait: Duration,
) -> Result<Option<usize>, io::Error> {
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, timeout) {
        Ok(0) | Err(Errno::EINTR) => return Ok(None),
        Ok(_) => {}
        Err(errno) => return Err(errno.into()),
    }
    // Does not block: poll reports that there is something, or the end.
    let mut buffer = [0; 4096];
    let length = pipe.read(&mut buffer)?;
    let room = KEPT.saturating_sub(kept.len());
    kept.extend(buffer.iter().take(length.min(room)));
    Ok(Some(length))
}

/// Kills the program and what it started. One that the kernel does not let go of is left behind.
fn kill(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    for _ in 0..100 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Runs the text as a shell script, however long it takes.
    fn script(text: &str) -> Output {
        script_until(text, || false).unwrap()
    }

    fn script_until(text: &str, is_over: impl FnMut() -> bool) -> Option<Output> {
        run(Path::new("/bin/sh"), &["-c", text, "sh", "x"], is_over).unwrap()
    }

    #[test]
    fn status_and_stderr_are_reported() {
        let output = script("echo out; echo one >&2; echo \"two $1\" >&2; exit 3");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stderr, "one\ntwo x");
    }

    #[test]
    fn endless_output_is_bounded() {
        let output = script("head -c 1000000 /dev/zero | tr '\\0' x >&2");
        assert_eq!(output.stderr.len(), KEPT);
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let child = || {
            fs::read_to_string(&file)
                .ok()
                .filter(|id| id.ends_with('\n'))
        };
        let text = format!("sleep 3600 & echo $! > {}; wait", file.display());
        assert!(script_until(&text, || child().is_some()).is_none());
        let state = format!("/proc/{}/stat", child().unwrap().trim());
        let is_gone = || fs::read_to_string(&state).map_or(true, |state| state.contains(") Z "));
        // The kernel ends it in its own time, but not in a minute.
        let gone = (0..6000).any(|_| {
            is_gone() || {
                sleep(INTERVAL);
                false
            }
        });
        assert!(gone, "the child lives on");
    }

    #[test]
    fn a_child_that_keeps_stderr_open_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("goes-with-the-test");
        fs::write(&file, "").unwrap();
        let file = file.display();
        let output = script(&format!(
            "(while test -e {file}; do sleep 0.1; done) & echo done >&2; exit 0"
        ));
        assert!(output.status.success());
        assert_eq!(output.stderr, "done");
    }

    #[test]
    fn what_a_program_printed_before_it_ended_is_read() {
        let mut child = Command::new("sh")
            .args(["-c", "head -c 6000 /dev/zero | tr '\\0' x >&2"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let state = format!("/proc/{}/stat", child.id());
        while !fs::read_to_string(&state).unwrap().contains(") Z ") {
            sleep(INTERVAL);
        }
        let output = supervise(&mut child, || false).unwrap().unwrap();
        assert_eq!(output.stderr.len(), 6000);
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        let missing = run(Path::new("/nonexistent"), &["x"], || false);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
