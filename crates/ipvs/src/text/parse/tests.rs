//! Combinations that `ipvsadm` refuses.

use crate::{Error, SaveLine};

/// Each was given to `ipvsadm` 1.31 on Linux 6.1.176; the first of each group was taken, the others were
/// refused with status 2 (by `ipvsadm`) or 255 (by the kernel).
#[test]
fn what_ipvsadm_refuses_is_refused_with_a_remedy() {
    for (taken, refused, word, remedy) in [
        (
            "-A -t 10.0.0.6:80 -s rr -p 2678400",
            &[
                "-A -t 10.0.0.7:80 -s rr -p 2678401",
                "-A -t 10.0.0.8:80 -s rr -p 4294967295",
                "-A -t 10.0.0.5:80 -s rr -p 0",
            ][..],
            "",
            "1 to 2678400 seconds",
        ),
        (
            "-A -t 10.0.0.2:0 -s rr -p",
            &[
                "-A -t 10.0.0.1:0 -s rr",
                "-A -t 10.0.0.1 -s rr",
                "-A -u [2001:db8::1]:0 -s rr -o",
            ],
            "",
            "add -p",
        ),
        (
            "-A -u 10.0.0.4:80 -s rr -o",
            &[
                "-A -t 10.0.0.4:80 -s rr -o",
                "-A --sctp-service 10.0.0.4:80 -s rr -o",
                "-A -t 10.0.3.8:80 -s rr -o -p",
            ],
            "-o",
            "only for UDP (-u) and firewall marks (-f)",
        ),
        (
            "-A -f 5 -s rr -o",
            &["-A -f 4294967296 -s rr"],
            "4294967296",
            "above 0",
        ),
        (
            "-a -t 10.0.2.1:80 -r [2001:db8::5]:80 -i",
            &["-a -t 10.0.2.1:80 -r [2001:db8::5]:80 -m"],
            "[2001:db8::5]:80",
            "only a tunnel (-i)",
        ),
        (
            "-a -f 9 -r 10.1.0.1:80 -m",
            &["-a -f 9 -6 -r 10.1.0.1:80 -m"],
            "10.1.0.1:80",
            "only a tunnel (-i)",
        ),
        (
            "-a -t 10.0.2.1:80 -r 10.1.0.8:80 -m -x 2147483647 -y 4",
            &["-a -t 10.0.2.1:80 -r 10.1.0.9:80 -m -x 2147483648"],
            "2147483648",
            "0 to 2147483647",
        ),
        (
            "-a -t 10.0.2.1:80 -r 10.1.0.11:80 -m -x 5 -y 5",
            &[
                "-a -t 10.0.2.1:80 -r 10.1.0.10:80 -m -x 5 -y 6",
                "-a -t 10.0.2.1:80 -r 10.1.0.12:80 -m -y 5",
            ],
            "-y",
            "above the upper one (-x)",
        ),
    ] {
        assert!(taken.parse::<SaveLine>().is_ok(), "{taken}");
        for line in refused {
            match line.parse::<SaveLine>() {
                Err(Error::SaveLine { token, reason }) => {
                    assert!(
                        line.contains(&token) && token.contains(word),
                        "{line}: {token}"
                    );
                    assert!(reason.contains(remedy), "{line}: {reason}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
