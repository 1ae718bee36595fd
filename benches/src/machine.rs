//! The machine that figures are from.

use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Its kernel and processors, in words.
#[must_use]
pub fn name() -> String {
    let processors = read("/proc/cpuinfo");
    let models = processors
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "));
    let model = models.clone().next().map_or("?", |(_, model)| model);
    let release = read("/proc/sys/kernel/osrelease");
    format!("Linux {}, {} × {model}", release.trim(), models.count())
}

/// How many processes wanted a processor, on average: over the last minute, five and fifteen.
#[must_use]
pub fn load() -> String {
    let load = read("/proc/loadavg");
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// A size in `/proc/self/status`, in bytes: `VmHWM`, the most memory this process ever had, or `VmRSS`, what
/// it has.
#[must_use]
pub fn memory(field: &str) -> Option<u64> {
    let status = read("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

/// What uses a kernel module: of one that schedules, its virtual servers in all network namespaces.
#[must_use]
pub fn module_users(module: &str) -> u64 {
    users(&read("/proc/modules"), module).unwrap_or_default()
}

/// The third word of the module's line.
fn users(modules: &str, module: &str) -> Option<u64> {
    let mut lines = modules.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next()? == module).then(|| words.nth(1)?.parse().ok())?)
}

/// Bytes of memory that nobody uses: `MemFree`.
#[must_use]
pub fn free_memory() -> u64 {
    let info = read("/proc/meminfo");
    let line = info.lines().find(|line| line.starts_with("MemFree:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_module_are_in_its_line() {
        let modules = "ip_vs_rr 16384 110000 - Live 0x0000000000000000\n\
                       ip_vs 221184 110002 ip_vs_rr, Live 0x0000000000000000\n";
        assert_eq!(users(modules, "ip_vs_rr"), Some(110_000));
        assert_eq!(users(modules, "ip_vs"), Some(110_002));
        assert_eq!(users(modules, "dummy"), None);
    }
}
