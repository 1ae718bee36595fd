//! The metrics of the process, under the names that Prometheus' own clients use, from `/proc/self`.

use std::fs;

use prometheus::{Counter, Gauge, GaugeVec, Opts, Registry};

use super::make::{real_gauge, registered};

/// The kernel's `USER_HZ`, in which `/proc` counts on every architecture that we build for.
const TICKS: f64 = 100.0;

/// As Go names it.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") {
    "linux/arm64"
} else if cfg!(target_arch = "x86_64") {
    "linux/amd64"
} else {
    "linux"
};

#[derive(Clone)]
pub(super) struct Process {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_files: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let build = registered(
            registry,
            GaugeVec::new(
                Opts::new("kube_proxier_build_info", "1, of the version in the label"),
                &["version"],
            )?,
        )?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let labels = [
            ("major", env!("CARGO_PKG_VERSION_MAJOR")),
            ("minor", env!("CARGO_PKG_VERSION_MINOR")),
            ("git_version", concat!("v", env!("CARGO_PKG_VERSION"))),
            ("git_commit", ""),
            ("git_tree_state", ""),
            ("build_date", ""),
            ("go_version", ""),
            ("compiler", "rustc"),
            ("platform", PLATFORM),
        ];
        let kubernetes = registered(
            registry,
            GaugeVec::new(
                Opts::new(
                    "kubernetes_build_info",
                    "1, of this program's version, by the labels that Kubernetes' own programs have",
                ),
                &labels.map(|(name, _)| name),
            )?,
        )?;
        kubernetes
            .with_label_values(&labels.map(|(_, value)| value))
            .set(1.0);
        let started = real_gauge(
            registry,
            "process_start_time_seconds",
            "When this process started, in seconds since 1970",
        )?;
        started.set(start_time().unwrap_or_default());
        let gauge = |name, help| real_gauge(registry, name, help);
        Ok(Self {
            cpu: registered(
                registry,
                Counter::new(
                    "process_cpu_seconds_total",
                    "Processor time of this process, in seconds",
                )?,
            )?,
            resident: gauge(
                "process_resident_memory_bytes",
                "Memory that this process has, in bytes",
            )?,
            virtual_memory: gauge(
                "process_virtual_memory_bytes",
                "Address space that this process has, in bytes",
            )?,
            open_files: gauge("process_open_fds", "Files and sockets that are open")?,
            threads: gauge("process_threads", "Threads of this process")?,
        })
    }

    /// Looks again. What cannot be read stays as it was.
    pub(super) fn look(&self) {
        if let Some(stat) = stat() {
            let number = |index: usize| stat.get(index).copied();
            if let (Some(user), Some(system)) = (number(11), number(12)) {
                let passed = (user + system) / TICKS - self.cpu.get();
                self.cpu.inc_by(passed.max(0.0));
            }
            if let Some(threads) = number(17) {
                self.threads.set(threads);
            }
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let kilobytes = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(name))?;
                line.split_whitespace().nth(1)?.parse::<f64>().ok()
            };
            if let (Some(resident), Some(all)) = (kilobytes("VmRSS:"), kilobytes("VmSize:")) {
                self.resident.set(resident * 1024.0);
                self.virtual_memory.set(all * 1024.0);
            }
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // One is the folder itself, being read.
            let open = u32::try_from(files.count().saturating_sub(1)).unwrap_or(u32::MAX);
            self.open_files.set(open.into());
        }
    }
}

/// The numbers of `/proc/self/stat` from the third field on, letters as 0 (see proc_pid_stat(5)).
fn stat() -> Option<Vec<f64>> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    Some(
        rest.split_whitespace()
            .map(|word| word.parse().unwrap_or(0.0))
            .collect(),
    )
}

fn start_time() -> Option<f64> {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + stat()?.get(19)? / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn it_is_this_process() {
        let process = Process::register(&Registry::new()).unwrap();
        process.look();
        assert!(process.resident.get() > 1e6, "{}", process.resident.get());
        assert!(process.virtual_memory.get() >= process.resident.get());
        assert!(process.open_files.get() >= 3.0);
        assert!(process.threads.get() >= 2.0);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - start_time().unwrap();
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }
}
