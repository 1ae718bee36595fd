//! The program as a process: its file, its log, its metrics.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const METRICS: &str = "127.0.0.1:9100";
/// How long to wait for what must come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Process {
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts it with a file, and waits until it serves metrics.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(&folder, config);
        let mut process = Self { child, folder };
        process.wait_until("metrics", |process| process.try_metrics().is_some());
        process
    }

    /// Starts it again after it ended, with a file.
    pub(crate) fn start_again(&mut self, config: &str) {
        self.child = spawn(&self.folder, config);
        self.wait_until("metrics", |process| process.try_metrics().is_some());
    }

    /// Puts another file in the place of the old one, as editors do.
    pub(crate) fn replace_file(&self, config: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, config).unwrap();
        fs::rename(new, file(&self.folder)).unwrap();
    }

    /// Writes the file in place.
    pub(crate) fn write_file(&self, config: &str) {
        fs::write(file(&self.folder), config).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn metrics(&self) -> String {
        self.try_metrics().unwrap_or_default()
    }

    fn try_metrics(&self) -> Option<String> {
        let mut stream = TcpStream::connect(METRICS).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        Some(body.to_owned())
    }

    /// A metric of a backend of the virtual server, `None` if it has none.
    pub(crate) fn of(&self, metric: &str, backend: std::net::SocketAddr) -> Option<u64> {
        let server = super::network::VIP;
        self.value(&format!(
            "{metric}{{server=\"TCP {server}\",backend=\"{backend}\"}}"
        ))
    }

    /// A metric of the program.
    pub(crate) fn value(&self, metric: &str) -> Option<u64> {
        let name = format!("lb_{metric} ");
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name))?;
        Some(value.parse().unwrap())
    }

    /// Waits for what must come to be true.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_true(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended ({status}):\n{}", self.log());
            }
            if Instant::now() > deadline {
                panic!("not {what}:\n{}\n{:?}", self.log(), self.try_metrics());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn end_with(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("lb.toml")
}

fn spawn(folder: &TempDir, config: &str) -> Child {
    fs::write(file(folder), config).unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_load-balancer"));
    program.arg(file(folder)).stderr(log).spawn().unwrap()
}
