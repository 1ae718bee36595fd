//! The system calls of this thread, counted by strace.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kernel_test::cmd;
use proxier::{Engine, Kernel, Plan};
use proxier_linux::LinuxKernel;

/// Calls by which memory is had from the kernel: how many depends on the allocator's mood.
const MEMORY: [&str; 5] = ["brk", "madvise", "mmap", "mremap", "munmap"];

/// A strace of this thread.
pub(crate) struct Trace {
    strace: Child,
    log: std::path::PathBuf,
}

impl Trace {
    pub(crate) fn start() -> Self {
        let log = std::env::temp_dir().join(format!("engine-calls-{}", std::process::id()));
        let thread = fs::read_link("/proc/thread-self").unwrap();
        let id = thread.file_name().unwrap().to_str().unwrap().to_owned();
        let strace = Command::new("strace")
            .args(["-o", log.to_str().unwrap(), "-p", &id])
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("strace: {error}: install Debian's package strace"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string("/proc/thread-self/status")
            .unwrap()
            .contains("TracerPid:\t0")
        {
            assert!(Instant::now() < deadline, "strace does not come");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { strace, log }
    }

    /// Ends it; gives the calls between each two marks.
    pub(crate) fn end(mut self) -> Vec<Vec<String>> {
        cmd(&format!("kill -INT {}", self.strace.id()));
        self.strace.wait().unwrap();
        let text = fs::read_to_string(&self.log).unwrap();
        let name = |line: &str| line.split('(').next().unwrap_or_default().to_owned();
        let calls: Vec<_> = text.lines().map(name).collect();
        let between = calls.split(|call| call == "getppid").skip(1).step_by(2);
        let own = |call: &&String| !MEMORY.contains(&call.as_str());
        between
            .map(|calls| calls.iter().filter(own).cloned().collect())
            .collect()
    }
}

/// A call that nothing else makes.
pub(crate) fn mark() {
    let _ = std::os::unix::process::parent_id();
}

/// Carries a plan out between marks.
pub(crate) fn carry_out(kernel: &mut LinuxKernel, engine: &mut Engine, plan: &Plan) {
    mark();
    let applied = kernel.apply(plan);
    mark();
    let failures: Vec<_> = applied.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    engine.applied(plan, &applied);
}
