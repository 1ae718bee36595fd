//! Whether packets leave the node with a mark.

use kernel_test::{cmd, try_cmd};

/// Counts packets that leave the node with a mark, and notes which they are.
///
/// Reports of multicast groups are left out. Nobody marks them, and they have marks all the same: while the kernel makes one, it
/// notes in the mark's place how much room to leave at its end (`reserved_tailroom` of `struct sk_buff`). They leave seconds after
/// a link is up.
pub(crate) fn count_marked() {
    cmd("nft -f - <<'END'
table inet seen {
    counter marked {}
    set of-ipv4 {
        typeof meta mark . meta oifname . ip saddr . ip daddr . meta l4proto
        size 4096
        flags dynamic
        counter
    }
    set of-ipv6 {
        typeof meta mark . meta oifname . ip6 saddr . ip6 daddr . meta l4proto
        size 4096
        flags dynamic
        counter
    }
    set of-ports {
        typeof meta mark . meta l4proto . th sport . th dport
        size 4096
        flags dynamic
        counter
    }
    set of-icmp {
        typeof meta mark . icmp type . icmp code
        size 4096
        flags dynamic
        counter
    }
    set of-icmpv6 {
        typeof meta mark . icmpv6 type . icmpv6 code
        size 4096
        flags dynamic
        counter
    }
    chain out {
        type filter hook postrouting priority 300
        icmpv6 type mld2-listener-report accept
        meta l4proto igmp accept
        meta mark != 0 counter name marked jump noted
    }
    chain noted {
        add @of-ipv4 { meta mark . meta oifname . ip saddr . ip daddr . meta l4proto }
        add @of-ipv6 { meta mark . meta oifname . ip6 saddr . ip6 daddr . meta l4proto }
        meta l4proto { tcp, udp, sctp } add @of-ports { meta mark . meta l4proto . th sport . th dport }
        add @of-icmp { meta mark . icmp type . icmp code }
        add @of-icmpv6 { meta mark . icmpv6 type . icmpv6 code }
    }
}
END");
}

/// Fails with marks, links, addresses, protocols, ports and ICMP types of the packets, and with the rules that take marks off.
#[track_caller]
pub(crate) fn assert_none_marked() {
    let counter = cmd("nft list counter inet seen marked");
    let all = || {
        let off = ["ip", "ip6"].map(|family| {
            let chain = format!("nft list chain {family} kube-proxier marks-off");
            try_cmd(&chain).unwrap_or_else(|error| error.to_string())
        });
        cmd("nft list table inet seen") + &off.concat()
    };
    assert!(counter.contains("packets 0 bytes 0"), "{}", all());
}
