use super::*;
use crate::word::Splitter;

fn parse(text: &str) -> Match {
    let mut splitter = Splitter::default();
    splitter.feed(text);
    let mut words = splitter.into_words().into_iter();
    assert_eq!(words.next().unwrap().as_str(), "-m");
    Match::new(words.next().unwrap().as_str(), words)
}

/// Printed by `iptables-legacy-save` and `iptables-nft-save` 1.8.9 on Linux 6.18; `ipvs` by the guest's 6.1.
#[test]
fn typed_matches_print_as_captured() {
    for text in [
        "-m comment --comment abc",
        "-m comment --comment -g",
        "-m comment --comment \"it\\'s a \\\"test\\\" \\\\ x\"",
        "-m comment --comment \"\"",
        "-m tcp --dport 80",
        "-m tcp --sport 1024:65535 ! --dport 80:90",
        "-m udp ! --sport 53",
        "-m sctp --dport 5",
        "-m multiport --dports 80,443,1000:2000",
        "-m multiport ! --ports 80",
        "-m mark --mark 0x1",
        "-m mark ! --mark 0x1/0x3",
        "-m conntrack ! --ctstate INVALID,NEW,ESTABLISHED,SNAT",
        "-m addrtype ! --src-type UNICAST,LOCAL --dst-type MULTICAST --limit-iface-in",
        "-m physdev --physdev-in eth0 ! --physdev-out veth+ --physdev-is-bridged",
        "-m physdev ! --physdev-is-in --physdev-is-out",
        "-m set ! --match-set S src,dst",
        "-m limit --limit 5/min --limit-burst 7",
        "-m statistic --mode random --probability 0.50000000000",
        "-m ipvs --vproto 6 --vaddr 198.51.100.7 --vport 80",
    ] {
        let read = parse(text);
        assert!(!matches!(read, Match::Other(_)), "{text}");
        assert_eq!(read.to_string(), text);
    }
}

/// Captured in the same way: options without a type.
#[test]
fn other_options_are_kept() {
    for text in [
        "-m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
        "-m set --match-set S1 src --return-nomatch",
        "-m length --length 64:128",
        "-m string --string \"GET /x y\" --algo bm",
        "-m time --timestart 09:00:00 --timestop 17:00:00 --datestop 2038-01-19T03:14:07",
        "-m icmp --icmp-type 8",
    ] {
        let read = parse(text);
        assert!(matches!(read, Match::Other(_)), "{text}");
        assert_eq!(read.to_string(), text);
    }
    assert_eq!(
        parse("-m set --match-set S1 src --return-nomatch").set_name(),
        Some("S1")
    );
}

#[test]
fn what_people_write_becomes_what_is_printed() {
    for (written, printed) in [
        ("-m mark --mark 1/0xffffffff", "-m mark --mark 0x1"),
        (
            "-m conntrack --ctstate ESTABLISHED,RELATED",
            "-m conntrack --ctstate RELATED,ESTABLISHED",
        ),
        (
            "-m tcp --destination-port 80 --sport :53",
            "-m tcp --sport 0:53 --dport 80",
        ),
        (
            "-m ipvs --vport 80 --vproto tcp --vaddr 10.0.0.1/32",
            "-m ipvs --vproto 6 --vaddr 10.0.0.1 --vport 80",
        ),
        (
            "-m addrtype --dst-type LOCAL ! --src-type LOCAL",
            "-m addrtype ! --src-type LOCAL --dst-type LOCAL",
        ),
    ] {
        assert_eq!(parse(written).to_string(), printed);
    }
}
