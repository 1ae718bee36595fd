//! Running a program with input, output and a limit in time.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// A program about to be run.
pub(super) struct Call<'a> {
    program: &'a Path,
    command: Command,
    input: Vec<u8>,
}

/// What a program left behind.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(program: &'a Path, args: Vec<OsString>) -> Self {
        let mut command = Command::new(program);
        // Messages are matched by their English text.
        command
            .args(args)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            program,
            command,
            input: Vec::new(),
        }
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn input(mut self, text: &str) -> Self {
        self.input = text.as_bytes().to_vec();
        self
    }

    /// Runs it to its end, or kills it at the limit.
    pub(super) fn run(mut self, limit: Duration) -> Result<Output, Error> {
        let started = Instant::now();
        let io = |source| Error::Io {
            path: self.program.to_owned(),
            source,
        };
        let mut child = self.command.spawn().map_err(io)?;
        let input = self.input;
        if let Some(mut stdin) = child.stdin.take() {
            // A tool that stops reading says why on its standard error; the broken pipe adds nothing.
            thread::spawn(move || stdin.write_all(&input));
        }
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        let left = || limit.saturating_sub(started.elapsed());
        let collected = receive(stdout, left()).and_then(|out| Ok((out, receive(stderr, left())?)));
        let ended = collected.and_then(|texts| Ok((texts, wait(&mut child, left())?)));
        match ended {
            Ok(((stdout, stderr), status)) => Ok(Output {
                status,
                stdout,
                stderr,
            }),
            Err(Stopped::Limit) => {
                // Fails only if it has ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::TimedOut {
                    program: self.program.to_owned(),
                    limit,
                })
            }
            Err(Stopped::Io(source)) => Err(io(source)),
        }
    }
}

enum Stopped {
    Limit,
    Io(std::io::Error),
}

/// Reads to the end on a thread of its own; one that a grandchild keeps waiting is left behind at the limit.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = pipe.read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more once the limit has passed.
        let _ = sender.send(result);
    });
    receiver
}

fn receive(
    pipe: Option<Receiver<std::io::Result<Vec<u8>>>>,
    left: Duration,
) -> Result<String, Stopped> {
    let Some(pipe) = pipe else {
        return Ok(String::new());
    };
    match pipe.recv_timeout(left) {
        Ok(Ok(bytes)) => Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())),
        Ok(Err(error)) => Err(Stopped::Io(error)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Stopped::Limit),
    }
}

/// The output has ended, so the end is near.
fn wait(child: &mut Child, left: Duration) -> Result<ExitStatus, Stopped> {
    let started = Instant::now();
    loop {
        match child.try_wait().map_err(Stopped::Io)? {
            Some(status) => return Ok(status),
            None if started.elapsed() >= left => return Err(Stopped::Limit),
            None => thread::sleep(Duration::from_micros(200)),
        }
    }
}
