//! One of this machine's processors for a guest that has only one itself.
//!
//! User Mode Linux is several processes, of which one runs at a time, and which wake each other at each system call in the
//! guest. That takes half the time where they wait for each other on one processor.

use std::process;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Holds this thread, and each process that it starts, to one of the processors that it may run on; until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    before: CpuSet,
}

impl Held {
    /// Another processor for each `place`, as long as there are others. What several programs start is spread too. `None`
    /// where the system does not allow it.
    pub(super) fn to_one(place: usize) -> Option<Self> {
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread).ok()?;
        let allowed: Vec<_> = (0..CpuSet::count())
            .filter(|processor| before.is_set(*processor) == Ok(true))
            .collect();
        let first = usize::try_from(process::id()).unwrap_or_default();
        let chosen = first.wrapping_add(place).checked_rem(allowed.len())?;
        let mut one = CpuSet::new();
        one.set(*allowed.get(chosen)?).ok()?;
        sched_setaffinity(this_thread, &one).ok()?;
        Some(Self { before })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The thread stays where it is, should that fail.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    /// The processors of a process that this thread starts.
    fn of_a_child() -> String {
        let output = Command::new("sed")
            .args(["-n", "s/^Cpus_allowed_list:\\s*//p", "/proc/self/status"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn each_place_has_a_processor_of_its_own_as_long_as_there_are_some() {
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let number = (0..CpuSet::count())
            .filter(|processor| all.is_set(*processor).unwrap())
            .count();
        let before = of_a_child();
        let chosen: BTreeSet<_> = (0..number)
            .map(|place| {
                let held = Held::to_one(place).unwrap();
                let one = of_a_child();
                drop(held);
                assert!(one.trim().parse::<u32>().is_ok(), "{one:?}");
                one
            })
            .collect();
        assert_eq!(chosen.len(), number);
        assert_eq!(of_a_child(), before);
    }
}
