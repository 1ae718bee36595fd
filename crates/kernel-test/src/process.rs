//! Runs one test in a process of its own, on this machine.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::child;
use crate::error::{Context as _, Error};
use crate::report::{self, Outcome};

/// Sets which test a process of this test binary, about to be started, runs.
pub(crate) fn assign_test(command: &mut Command, name: &str, report: &Path) {
    command.env(child::NAME, name).env(child::REPORT, report);
}

/// `PATH` with the folders of administrators' tools, which Debian leaves out for other users.
pub(crate) fn path_with_sbin() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// Runs a test in a process of its own, on this machine; its output goes where ours does.
pub(crate) fn run_on_host(name: &str, time_limit: Duration) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir().context(|| "making a temporary folder".to_owned())?;
    let report = folder.path().join("report");
    let program = std::env::current_exe().context(|| "finding this program".to_owned())?;
    let mut command = Command::new(&program);
    assign_test(&mut command, name, &report);
    let mut child = command
        .args(std::env::args_os().skip(1))
        .env("PATH", path_with_sbin())
        .env(child::WATCH, "1")
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .at("starting", &program)?;
    // The test ends when this end of its stdin is closed, even by our death.
    let stdin = child.stdin.take();
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let end_group = || {
        if let Ok(group) = group {
            // It may have ended already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    };

    let (done, result) = channel();
    let waiting = thread::spawn(move || {
        let _ = done.send(child.wait());
    });
    let waited = result.recv_timeout(time_limit);
    // End what the test started and left behind, unless it has left the group.
    end_group();
    let _ = waiting.join();
    drop(stdin);

    match waited {
        Ok(status) => {
            let status = status.context(|| "waiting for the test's process".to_owned())?;
            report::read(&report).ok_or_else(|| no_result(status))
        }
        Err(RecvTimeoutError::Timeout) => Err(Error::TimeLimit {
            seconds: time_limit.as_secs(),
        }),
        Err(RecvTimeoutError::Disconnected) => Err(Error::NoResult {
            status: "unknown".to_owned(),
        }),
    }
}

pub(crate) fn no_result(status: ExitStatus) -> Error {
    Error::NoResult {
        status: status.to_string(),
    }
}
