//! The process that runs one test: it enters new namespaces, calls the test and reports the result.

use std::any::Any;
use std::fs;
use std::io::{self, Read as _};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{getegid, geteuid, getpgrp};

use crate::Namespace;
use crate::error::{Context as _, Error, print_notice};
use crate::machine;
use crate::report::{Outcome, Report};

/// Environment variable: the name of the test that this process runs.
pub(crate) const NAME: &str = "KERNEL_TEST_NAME";
/// Environment variable: the file for the result.
pub(crate) const REPORT: &str = "KERNEL_TEST_REPORT";
/// Environment variable: set if stdin ends with the harness, and the test must end then.
pub(crate) const WATCH: &str = "KERNEL_TEST_WATCH";

/// The exit status of a failed test, as with libtest.
const FAILED: u8 = 101;

/// The test that this process was started to run, if any.
pub(crate) fn assigned() -> Option<String> {
    std::env::var(NAME).ok()
}

/// Runs the test in this process.
pub(crate) fn run(test: impl FnOnce(&Namespace) -> Outcome) -> ExitCode {
    match report(test) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) => ExitCode::from(FAILED),
        Err(error) => {
            print_notice(error);
            ExitCode::from(FAILED)
        }
    }
}

fn report(test: impl FnOnce(&Namespace) -> Outcome) -> Result<Outcome, Error> {
    let path = std::env::var_os(REPORT).unwrap_or_default();
    let path = Path::new(&path);
    let report = Report::create(path).at("creating", path)?;
    let outcome = match prepare() {
        Ok(namespace) => call(|| test(&namespace)),
        Err(error) => Err(error.to_string()),
    };
    report.write(&outcome).at("writing", path)?;
    Ok(outcome)
}

fn prepare() -> Result<Namespace, Error> {
    if !machine::may_administrate() {
        become_root()?;
    }
    let namespace = Namespace::enter()?;
    if std::env::var_os(WATCH).is_some() {
        thread::spawn(end_with_harness);
    }
    Ok(namespace)
}

/// Enters a user namespace in which this user is root.
fn become_root() -> Result<(), Error> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).context(|| {
        "making a user namespace (a network namespace needs root or unprivileged user namespaces; \
         run the tests as root)"
            .to_owned()
    })?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(file, text).at("writing", Path::new(file))?;
    }
    Ok(())
}

/// Kills this process and what it started at the end of stdin, which the harness's death brings.
fn end_with_harness() {
    let mut buffer = [0; 64];
    while io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
    let _ = killpg(getpgrp(), Signal::SIGKILL);
}

/// Every panic so far: its message, and the message with its location.
static PANICS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Calls the test; a panic becomes a failure that names its location.
fn call(test: impl FnOnce() -> Outcome) -> Outcome {
    let main = thread::current().id();
    let backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    let default = take_hook();
    set_hook(Box::new(move |info| {
        let text = text_of(info.payload());
        let full = describe(info, &text);
        PANICS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((text, full));
        // The test's own panic is reported as its failure; other panics, and backtraces, are only shown here.
        if thread::current().id() != main || cfg!(panic = "abort") || backtrace {
            default(info);
        }
    }));
    catch_unwind(AssertUnwindSafe(test)).unwrap_or_else(|payload| {
        // A panic of `Netns::run` came from another thread: its text identifies it.
        let text = text_of(&*payload);
        let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        let full = panics.iter().rev().find(|(known, _)| *known == text);
        Err(full.map_or(text.clone(), |(_, full)| full.clone()))
    })
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without text".to_owned()
    }
}

fn describe(info: &PanicHookInfo<'_>, text: &str) -> String {
    let place = info
        .location()
        .map_or(String::new(), |location| format!(" at {location}"));
    format!("panicked{place}:\n{text}")
}
