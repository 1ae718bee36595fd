//! Whether packets leave the node with a mark.

use kernel_test::cmd;

/// Counts packets that leave the node with a mark.
pub(crate) fn count_marked() {
    cmd("nft -f - <<'END'
table inet seen {
    counter marked {}
    chain out {
        type filter hook postrouting priority 300
        meta mark != 0 counter name marked
        meta mark != 0 meta l4proto tcp counter
        meta mark != 0 meta l4proto udp counter
        meta mark != 0 meta l4proto { icmp, ipv6-icmp } counter
    }
}
END");
}

#[track_caller]
pub(crate) fn assert_none_marked() {
    let counter = cmd("nft list counter inet seen marked");
    let all = || cmd("nft list table inet seen");
    assert!(counter.contains("packets 0 bytes 0"), "{}", all());
}
