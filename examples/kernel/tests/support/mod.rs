//! What the tests of examples on a real kernel share.

use kernel_test::cmd;

pub(crate) fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.sort_unstable();
    lines
}

/// Makes virtual servers of each kind, with destinations: six lines of `ipvsadm -Sn`.
pub(crate) fn virtual_servers() {
    for line in [
        "-A -t 10.0.0.1:80 -s wrr -p 600",
        "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3",
        "-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 0",
        "-A -u [fd00::1]:53 -s mh -b mh-port,mh-fallback",
        "-a -u [fd00::1]:53 -r [fd00::2]:53 -g -w 1",
        "-A -f 7 -s rr -o",
    ] {
        cmd(&format!("ipvsadm {line}"));
    }
}
