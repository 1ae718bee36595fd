//! The floor: a C program that sends what our client sent, ready-made.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::tap::Log;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kernel/floor.c");

/// The compiled program.
pub(crate) struct Floor(PathBuf);

/// A file of datagrams to send.
pub(crate) struct Recording {
    file: PathBuf,
    protocol: u16,
}

impl Floor {
    /// Compiles it with the machine's compiler.
    ///
    /// # Errors
    /// What is to be said in its place where there is none, or it fails.
    pub(crate) fn compile() -> Result<Self, String> {
        let program = std::env::temp_dir().join("netlink-floor");
        let output = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&program)
            .arg(SOURCE)
            .output()
            .map_err(|error| format!("no C compiler (`cc`: {error})"))?;
        if output.status.success() {
            Ok(Self(program))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Sends the recording; returns the time it took and the system calls.
    pub(crate) fn run(&self, recording: &Recording) -> (Duration, u32) {
        let output = Command::new(&self.0)
            .arg(recording.protocol.to_string())
            .arg(&recording.file)
            .output()
            .expect("the floor starts");
        assert!(output.status.success(), "the floor: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(nanoseconds)), Some(Ok(calls))) = (numbers.next(), numbers.next()) else {
            panic!("the floor says {text:?}");
        };
        let calls = u32::try_from(calls).expect("few calls");
        (Duration::from_nanos(nanoseconds), calls)
    }
}

impl Recording {
    /// What was sent over a socket of this protocol.
    pub(crate) fn new(name: &str, protocol: u16, log: &Log) -> Self {
        let mut bytes = Vec::new();
        for datagram in &log.sent {
            let length = u32::try_from(datagram.len()).expect("a datagram");
            bytes.extend_from_slice(&length.to_ne_bytes());
            bytes.extend_from_slice(datagram);
        }
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, bytes).expect("the recording is written");
        Self { file, protocol }
    }
}
