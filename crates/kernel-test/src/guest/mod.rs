//! The guest: this test binary, inside User Mode Linux or under Debian's kernel in QEMU.
//!
//! [`Guest`] is this machine's side. It boots the kernel with this program as its first process
//! ([`init`]), sends names of tests to it and reads [`frame`]s from it. Another connection is the
//! kernel's console; its last lines explain a crash.

mod cpio;
mod frame;
mod init;
mod job;
mod memory;
mod processor;
mod qemu;
mod tree;
mod uml;

use std::env::VarError;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::error::{Context as _, Error, print_notice};
use crate::link;
use crate::process::path_with_sbin;
use crate::report::{self, Outcome};
use frame::Frame;
use job::Job;
use processor::Held;

pub(crate) use init::run_if_init;
pub(crate) use memory::{MEBIBYTES, from_environment as memory_from_environment};

/// Environment (of the guest's first process): the folder of the [`Job`].
const JOB: &str = "KERNEL_TEST_JOB";

/// Environment: `instructions`, see [`Clock`].
const CLOCK: &str = "PROXIER_KERNEL_TESTS_CLOCK";

/// A boot takes two seconds, emulated ones ten, and several times that on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
const HALT_LIMIT: Duration = Duration::from_secs(5);
/// How much of the console is kept, in bytes.
const CONSOLE: usize = 8192;

/// What a guest kernel runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// None: the kernel is a program.
    UserMode,
    /// An emulated one.
    Qemu {
        /// The kernel, `vmlinuz-RELEASE`.
        image: PathBuf,
    },
}

/// What the clock of an emulated machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Clock {
    /// This machine's time.
    #[default]
    Time,
    /// The instructions that its only processor has carried out, a nanosecond each: what a test measures does not depend on
    /// what else this machine does. While the processor has nothing to do, the clock jumps to the next timer.
    Instructions,
}

impl Clock {
    /// One emulated processor boots alone, and is slowed down by whatever else this machine does.
    const fn boot_limit(self) -> Duration {
        match self {
            Self::Time => BOOT_LIMIT,
            Self::Instructions => BOOT_LIMIT.saturating_mul(5),
        }
    }

    /// The one that the environment asks for.
    ///
    /// # Errors
    /// A text, if the variable is invalid.
    pub(crate) fn from_environment() -> Result<Self, String> {
        match std::env::var(CLOCK).as_deref() {
            Ok("instructions") => Ok(Self::Instructions),
            Ok("") | Err(VarError::NotPresent) => Ok(Self::Time),
            other => Err(format!("{CLOCK} is {other:?}: expected `instructions`")),
        }
    }
}

/// A guest kernel's files.
#[derive(Clone, Debug)]
pub(crate) struct GuestKernel {
    /// `linux.uml`, or QEMU.
    pub(crate) program: PathBuf,
    /// What it runs on.
    pub(crate) machine: Machine,
    /// The folder that holds its `modules.dep`.
    pub(crate) modules: PathBuf,
    /// A folder in which the guest's writes are kept.
    pub(crate) kept: Option<PathBuf>,
}

/// A booted guest; halted when dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    kernel: Child,
    names: Option<ChildStdin>,
    frames: Receiver<io::Result<Frame>>,
    console: Arc<Mutex<Vec<u8>>>,
    usable: bool,
    /// Ends the guest if this process dies and the guest does not notice.
    watchdog: Option<Child>,
    _folder: TempDir,
}

impl Guest {
    /// Boots a guest with `memory` MiB, where all guests together may take `room` MiB, and this is number `place` of them. Returns
    /// when it is ready for tests. `is_linked`: with the other end of the link that is in this thread's network namespace; User
    /// Mode Linux only.
    pub(crate) fn boot(
        kernel: &GuestKernel,
        place: usize,
        memory: u64,
        room: u64,
        clock: Clock,
        is_linked: bool,
    ) -> Result<Self, Error> {
        let folder = job_folder(kernel, is_linked)?;
        let mut command = match &kernel.machine {
            Machine::UserMode => uml::command(kernel, folder.path(), memory, room, is_linked),
            Machine::Qemu { image } => qemu::command(kernel, image, folder.path(), memory, clock),
        };
        let held = (kernel.machine == Machine::UserMode).then(|| Held::to_one(place));
        let mut child = command
            .process_group(0)
            .spawn()
            .at("starting", &kernel.program)?;
        drop(held);
        let (sender, frames) = channel();
        let console = Arc::default();
        if let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            thread::spawn(move || {
                loop {
                    let frame = Frame::read(&mut stdout);
                    let last = frame.is_err();
                    if sender.send(frame).is_err() || last {
                        break;
                    }
                }
            });
            let console = Arc::clone(&console);
            thread::spawn(move || keep_tail(stderr, &console));
        }
        let mut guest = Self {
            names: child.stdin.take(),
            kernel: child,
            frames,
            console,
            usable: true,
            watchdog: None,
            _folder: folder,
        };
        let name = match kernel.machine {
            Machine::UserMode => "User Mode Linux",
            // Unlike User Mode Linux, a virtual machine that hangs does not end with its input.
            Machine::Qemu { .. } => {
                guest.watchdog = Some(watchdog(guest.kernel.id())?);
                "Debian's kernel in QEMU,"
            }
        };
        let limit = clock.boot_limit();
        match guest.next(Instant::now().checked_add(limit)) {
            Ok(Frame::Ready(release)) => {
                print_notice(format!("tests run in a guest, {name} {release}"));
                Ok(guest)
            }
            Ok(Frame::Fatal(why)) => Err(guest.failure(&format!("did not come up: {why}"))),
            Ok(_) => Err(guest.failure("sent an unexpected message")),
            Err(Error::TimeLimit { .. }) => {
                let seconds = limit.as_secs();
                Err(guest.failure(&format!("did not come up in {seconds} s")))
            }
            Err(error) => Err(error),
        }
    }

    /// Runs a test in the guest and prints the test's output.
    pub(crate) fn run(&mut self, name: &str, limit: Duration) -> Result<Outcome, Error> {
        let until = Instant::now().checked_add(limit);
        if let Some(names) = &mut self.names
            && let Err(error) = writeln!(names, "{name}").and_then(|()| names.flush())
        {
            return Err(self.failure(&format!("is gone ({error})")));
        }
        loop {
            match self.next(until) {
                Ok(Frame::Stdout(bytes)) => forward(&mut io::stdout(), &bytes),
                Ok(Frame::Stderr(bytes)) => forward(&mut io::stderr(), &bytes),
                Ok(Frame::Report(bytes)) => {
                    let outcome = report::decode(&bytes);
                    return outcome.ok_or_else(|| self.failure("sent an unreadable report"));
                }
                Ok(Frame::NoReport(status)) => return Err(Error::NoResult { status }),
                Ok(Frame::Fatal(why)) => return Err(self.failure(&format!("gave up: {why}"))),
                Ok(Frame::Ready(_)) => return Err(self.failure("sent an unexpected message")),
                Err(Error::TimeLimit { .. }) => {
                    self.usable = false;
                    let seconds = limit.as_secs();
                    return Err(Error::TimeLimit { seconds });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether it can run another test.
    pub(crate) fn is_usable(&self) -> bool {
        self.usable
    }

    fn next(&mut self, until: Option<Instant>) -> Result<Frame, Error> {
        let left = until.map_or(Duration::MAX, |until| {
            until.saturating_duration_since(Instant::now())
        });
        match self.frames.recv_timeout(left) {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.failure("stopped"))
            }
            Ok(Err(error)) => Err(self.failure(&format!("sent an unreadable message: {error}"))),
            Err(RecvTimeoutError::Disconnected) => Err(self.failure("is gone")),
            Err(RecvTimeoutError::Timeout) => Err(Error::TimeLimit {
                seconds: BOOT_LIMIT.as_secs(),
            }),
        }
    }

    /// Stops the guest and returns the error that explains why.
    fn failure(&mut self, what: &str) -> Error {
        self.usable = false;
        self.kill();
        // The console's reader may be a moment behind.
        thread::sleep(Duration::from_millis(50));
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        Error::Guest {
            what: what.to_owned(),
            console: String::from_utf8_lossy(&console).replace('\r', ""),
        }
    }

    fn kill(&mut self) {
        // The group holds the guest's processes, each of which is a process of this machine.
        if let Ok(group) = i32::try_from(self.kernel.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.kernel.wait();
        if let Some(watchdog) = &mut self.watchdog {
            let _ = watchdog.wait();
        }
    }
}

/// A process that kills this group, which it belongs to, when its input ends.
fn watchdog(group: u32) -> Result<Child, Error> {
    let context = || "starting the guest's watchdog".to_owned();
    let group = i32::try_from(group).map_err(io::Error::other);
    Command::new("sh")
        .args(["-c", "read -r line; kill -KILL 0"])
        .process_group(group.context(context)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context(context)
}

impl Drop for Guest {
    fn drop(&mut self) {
        // At the end of its input, the guest writes back what it holds and halts.
        drop(self.names.take());
        let until = Instant::now() + HALT_LIMIT;
        while self.usable && Instant::now() < until {
            if !matches!(self.kernel.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }
}

fn job_folder(kernel: &GuestKernel, is_linked: bool) -> Result<TempDir, Error> {
    let context = || "making a folder for the guest".to_owned();
    // The path goes into the kernel's command line, which cannot hold a space.
    let parent = std::env::temp_dir();
    let spaced = parent.to_string_lossy().contains(char::is_whitespace);
    let parent = if spaced { Path::new("/tmp") } else { &parent };
    let folder = tempfile::Builder::new()
        .prefix("kernel-test-")
        .tempdir_in(parent)
        .context(context)?;
    let path = folder.path();
    let program = std::env::current_exe().context(|| "finding this program".to_owned())?;
    let mut environment: Vec<_> = std::env::vars_os()
        .filter(|(name, _)| name != "PATH" && name != "TMPDIR")
        .collect();
    environment.push(("PATH".into(), path_with_sbin()));
    if is_linked {
        environment.push((link::LINKED.into(), "1".into()));
    }
    let job = Job {
        arguments: std::env::args_os().skip(1).collect(),
        folder: std::env::current_dir().context(|| "finding the working folder".to_owned())?,
        environment,
        modules: kernel.modules.clone(),
        kept: kernel.kept.clone(),
        is_emulated: kernel.machine != Machine::UserMode,
        program: program.clone(),
    };
    fs::write(path.join("job"), job.encode()).context(context)?;
    match kernel.machine {
        Machine::UserMode => {
            fs::write(path.join("libptrace.so"), uml::SHIM).context(context)?;
        }
        Machine::Qemu { .. } => {
            let initrd = qemu::initial_file_system(&kernel.modules)
                .at("packing modules of", &kernel.modules)?;
            fs::write(path.join("initrd"), initrd).context(context)?;
        }
    }
    fs::create_dir(path.join("tree")).context(context)?;
    symlink(program, path.join("init")).context(context)?;
    Ok(folder)
}

fn keep_tail(mut console: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = console.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(buffer.get(..read).unwrap_or_default());
        let surplus = kept.len().saturating_sub(CONSOLE);
        kept.drain(..surplus);
    }
}

fn forward(to: &mut impl io::Write, bytes: &[u8]) {
    // Unlike `print!`, a closed pipe is no reason to panic.
    let _ = to.write_all(bytes).and_then(|()| to.flush());
}
