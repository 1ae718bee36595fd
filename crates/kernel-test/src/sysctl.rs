//! Kernel settings below `/proc/sys`, of the calling thread's network namespace.

use std::fs;
use std::path::PathBuf;

/// The value of a setting, such as `net.ipv4.vs.conntrack` or `net/ipv4/conf/eth0.1/forwarding`, without
/// its closing newline.
///
/// # Panics
/// If there is no such setting, or it cannot be read.
#[must_use]
#[track_caller]
#[expect(clippy::panic, reason = "a helper for tests, which fail by panicking")]
pub fn sysctl(name: &str) -> String {
    let path = path(name);
    match fs::read_to_string(&path) {
        Ok(value) => value.trim_end_matches('\n').to_owned(),
        Err(error) => panic!("reading {}: {error}", path.display()),
    }
}

/// Changes a setting.
///
/// # Panics
/// If there is no such setting, or it does not take the value.
#[track_caller]
#[expect(clippy::panic, reason = "a helper for tests, which fail by panicking")]
pub fn set_sysctl(name: &str, value: &str) {
    let path = path(name);
    if let Err(error) = fs::write(&path, value) {
        panic!("writing {value:?} to {}: {error}", path.display());
    }
}

/// As `sysctl(8)` reads names: the first separator tells whether dots or slashes separate, and the
/// other one is then a dot of a link's name.
fn path(name: &str) -> PathBuf {
    let name = match name.find(['.', '/']) {
        Some(at) if name.get(at..).is_some_and(|rest| rest.starts_with('.')) => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    };
    PathBuf::from("/proc/sys").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_sysctl() {
        for (name, expected) in [
            ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
            (
                "net/ipv4/conf/eth0.1/mtu",
                "/proc/sys/net/ipv4/conf/eth0.1/mtu",
            ),
            (
                "net.ipv4.conf.eth0/1.mtu",
                "/proc/sys/net/ipv4/conf/eth0.1/mtu",
            ),
        ] {
            assert_eq!(path(name), PathBuf::from(expected));
        }
    }

    #[test]
    fn reads_without_the_newline() {
        assert_eq!(sysctl("kernel.ostype"), "Linux");
    }
}
