//! System calls between two marks, counted by strace.

/// Calls by which memory is had from the kernel: how many depends on the allocator's mood.
const MEMORY: [&str; 5] = ["brk", "madvise", "mmap", "mremap", "munmap"];

/// Makes a system call that nothing else makes.
pub fn mark() {
    let _ = std::os::unix::process::parent_id();
}

/// The names of the calls between each two marks in strace's log, without those for memory.
#[must_use]
pub fn between_marks(log: &str) -> Vec<Vec<&str>> {
    let names: Vec<_> = log
        .lines()
        .map(|line| line.split('(').next().unwrap_or_default())
        .collect();
    names
        .split(|name| *name == "getppid")
        .skip(1)
        .step_by(2)
        .map(|calls| {
            let calls = calls.iter().copied();
            calls.filter(|name| !MEMORY.contains(name)).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_those_between_marks() {
        let log = "\
execve(\"/x\", [\"/x\"], 0x7ffd) = 0
getppid() = 1
sendto(3, \"\", 20, 0, NULL, 0) = 20
brk(NULL) = 0x5
recvfrom(3, \"\", 20, 0, NULL, NULL) = 36
getppid() = 1
write(1, \"\", 1) = 1
getppid() = 1
getppid() = 1
+++ exited with 0 +++
";
        assert_eq!(between_marks(log), [vec!["sendto", "recvfrom"], vec![]]);
    }
}
