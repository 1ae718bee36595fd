//! What the daemon sets of its own process at start.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many files may be open where that cannot be found out: what every kernel starts with.
const USUAL: u64 = 1024;

/// Raises the number of files that may be open as far as this process may (RLIMIT_NOFILE of getrlimit(2)), and returns it.
pub(super) fn raise_open_files() -> u64 {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    let Ok((soft, hard)) = limits else {
        return USUAL;
    };
    if soft >= hard {
        return soft;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::debug!(%error, soft, hard, "the limit of open files stays");
            soft
        }
    }
}

/// Sets how readily the kernel kills this process when memory runs out (`oom_score_adj` of proc_pid_oom_score_adj(5)).
pub(super) fn set_oom_score(score: i16) {
    if let Err(error) = fs::write("/proc/self/oom_score_adj", score.to_string()) {
        tracing::debug!(%error, score, "oomScoreAdj cannot be set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_are_allowed_may_be_open() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_open_files(), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
