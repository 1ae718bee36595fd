//! Running a program with input, and with limits in time and output.
//!
//! One thread does it all with poll(2): nothing here can fail because a thread cannot be had.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::Error;

/// The most that a tool may print to its standard error. Messages are a few lines.
const STDERR_LIMIT: usize = 1 << 20;

/// How much a program may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    /// Bytes of standard output.
    pub(super) stdout: usize,
}

/// A program about to be run.
pub(super) struct Call<'a> {
    program: &'a Path,
    command: Command,
    input: &'a [u8],
}

/// What a program left behind.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// Bytes that are not UTF-8 are replaced by U+FFFD.
    pub(super) stderr: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(program: &'a Path, args: Vec<OsString>) -> Self {
        let mut command = Command::new(program);
        // Messages are matched by their English text. The group of its own is what is killed at a limit: a wrapper
        // script's children go with it.
        command
            .args(args)
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            program,
            command,
            input: &[],
        }
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn input(mut self, text: &'a [u8]) -> Self {
        self.input = text;
        self
    }

    /// Runs it to its end, or kills its process group at a limit.
    pub(super) fn run(mut self, limits: Limits) -> Result<Output, Error> {
        let started = Instant::now();
        let io = |source| Error::Io {
            path: self.program.to_owned(),
            source,
        };
        let mut child = self.command.spawn().map_err(io)?;
        let left = || limits.time.saturating_sub(started.elapsed());
        let ended = Pipes::of(&mut child, self.input)
            .and_then(|pipes| pipes.transfer(limits.stdout, left))
            .and_then(|texts| Ok((texts, wait(&mut child, left)?)));
        let stopped = match ended {
            Ok(((stdout, stderr), status)) => {
                return Ok(Output {
                    status,
                    stdout,
                    stderr: String::from_utf8_lossy(&stderr).into_owned(),
                });
            }
            Err(stopped) => stopped,
        };
        end(child);
        Err(match stopped {
            Stopped::Time => Error::TimedOut {
                program: self.program.to_owned(),
                limit: limits.time,
            },
            Stopped::Output(limit) => Error::OutputTooLong {
                program: self.program.to_owned(),
                limit,
            },
            Stopped::Io(source) => io(source),
        })
    }
}

/// Why a program was not left to run to its end.
enum Stopped {
    Time,
    /// It printed more than this many bytes.
    Output(usize),
    Io(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<nix::errno::Errno> for Stopped {
    fn from(errno: nix::errno::Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Our ends of the pipes, none of which blocks. Each is closed when it is done with.
struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    input: &'a [u8],
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, input: &'a [u8]) -> Result<Self, Stopped> {
        let pipes = Self {
            // Without input the tool reads the end of the file at once.
            stdin: child.stdin.take().filter(|_| !input.is_empty()),
            input,
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let fds = [
            pipes.stdin.as_ref().map(AsFd::as_fd),
            pipes.stdout.as_ref().map(AsFd::as_fd),
            pipes.stderr.as_ref().map(AsFd::as_fd),
        ];
        for fd in fds.into_iter().flatten() {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(pipes)
    }

    /// Writes the input and reads both outputs to their ends.
    fn transfer(
        mut self,
        stdout_limit: usize,
        left: impl Fn() -> Duration,
    ) -> Result<(Vec<u8>, Vec<u8>), Stopped> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while self.stdout.is_some() || self.stderr.is_some() {
            self.wait_until_ready(left())?;
            // A tool that stops reading writes why to its standard error; a broken pipe adds nothing.
            let input = &mut self.input;
            used(&mut self.stdin, |pipe| Ok(write_some(pipe, input)))?;
            used(&mut self.stdout, |pipe| {
                read_some(pipe, &mut stdout, stdout_limit)
            })?;
            used(&mut self.stderr, |pipe| {
                read_some(pipe, &mut stderr, STDERR_LIMIT)
            })?;
        }
        Ok((stdout, stderr))
    }

    fn wait_until_ready(&self, left: Duration) -> Result<(), Stopped> {
        if left.is_zero() {
            return Err(Stopped::Time);
        }
        let write = self
            .stdin
            .iter()
            .map(|pipe| (pipe.as_fd(), PollFlags::POLLOUT));
        let read = (self.stdout.iter().map(AsFd::as_fd))
            .chain(self.stderr.iter().map(AsFd::as_fd))
            .map(|fd| (fd, PollFlags::POLLIN));
        let mut fds: Vec<_> = write
            .chain(read)
            .map(|(fd, events)| PollFd::new(fd, events))
            .collect();
        // Whole milliseconds, rounded up so that the last one is not spent spinning.
        let milliseconds = left.as_millis().saturating_add(1).min(60_000);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Uses a pipe if it is open, and closes it when `step` gives false.
fn used<P>(
    pipe: &mut Option<P>,
    step: impl FnOnce(&mut P) -> Result<bool, Stopped>,
) -> Result<(), Stopped> {
    let more = pipe.as_mut().map_or(Ok(true), step)?;
    if !more {
        *pipe = None;
    }
    Ok(())
}

/// Writes what the pipe takes now. False when there is nothing more to write.
fn write_some(pipe: &mut ChildStdin, input: &mut &[u8]) -> bool {
    match pipe.write(input) {
        Ok(count) => {
            *input = input.get(count..).unwrap_or_default();
            !input.is_empty()
        }
        Err(error) => is_later(&error),
    }
}

/// Reads what the pipe has now. False at its end.
fn read_some(pipe: &mut impl Read, text: &mut Vec<u8>, limit: usize) -> Result<bool, Stopped> {
    let mut buffer = [0; 1 << 15];
    match pipe.read(&mut buffer) {
        Ok(count) => {
            let more = buffer.get(..count).unwrap_or_default();
            if text.len() + more.len() > limit {
                return Err(Stopped::Output(limit));
            }
            text.extend_from_slice(more);
            Ok(count > 0)
        }
        Err(error) if is_later(&error) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Both outputs are closed, so that the end of the program is near.
fn wait(child: &mut Child, left: impl Fn() -> Duration) -> Result<ExitStatus, Stopped> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(status),
            None if left().is_zero() => return Err(Stopped::Time),
            None => thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// Kills the program with its group and reaps it.
///
/// A program inside a system call that cannot be interrupted dies later; it is not waited for longer than a second.
fn end(mut child: Child) {
    // It is not reaped yet, so that its number, which is that of the group, cannot be another program's. Both fail only
    // if it is dead already.
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let killed = Instant::now();
    let left = || Duration::from_secs(1).saturating_sub(killed.elapsed());
    if wait(&mut child, left).is_err() {
        // Where no thread can be had it stays a zombie until this program ends.
        let _ = thread::Builder::new().spawn(move || child.wait());
    }
}
