//! What people write for `ipset restore`: read as it reads it.

use std::collections::BTreeSet;

use ipset_netlink::message::Mode;
use ipset_netlink::{Comment, Entry, Set, parse_save};
use kernel_test::{cmd, cmd_input, try_cmd, try_cmd_input};

use super::{client, name, spec};

/// Files that `ipset restore` takes. Each is read by it and by us, and must come to the same sets.
const TAKEN: &[&str] = &[
    // Case 59: `-exist` anywhere.
    include_str!("../data/restore/create-exist-after-name.ipset"),
    include_str!("../data/restore/add-bang-before-name.ipset"),
    "-exist create a hash:ip\nadd -exist a 10.0.0.1\n",
    "create -exist a hash:ip\nadd a -! 10.0.0.1\nadd a 10.0.0.2 --exist\n",
    "create a hash:ip\ncreate a hash:ip hashsize 2048 -exist\n",
    "-q create a hash:ip -quiet\ncreate b hash:net -sorted\n",
    // Commands in every spelling.
    "-N a hash:ip\n-A a 10.0.0.1\n",
    "--create a hash:ip\n--add a 10.0.0.1\n",
    "n a hash:ip\na a 10.0.0.1\n",
    "cr a hash:ip\nad a 10.0.0.1\n",
    "--new a hash:ip\n--a a 10.0.0.1\n",
    "create a hash:ip\nquit\nadd a 10.0.0.1\n",
    // Blanks, quotation marks, comments.
    "\t create\ta\thash:ip\r\n\r\nadd a  10.0.0.1  \r\nCOMMIT\n  # comment\n\t#comment\n",
    "\"create\" \"a\" hash:ip comment\nadd a \"10.0.0.1\" \"comment\" x\"y z\"w\n",
    "create a hash:ip comment\nadd a 10.0.0.1 comment \"x\"\"y\" -exist\nadd a 10.0.0.2 comment #x\n",
    "create a hash:ip comment\nadd a 10.0.0.1 --comment \" lead\"\n",
    // Types by their old names, with their old options. Behind a line with an option that it ignores,
    // ipset 7.17 silently skips the rest of the file, so such a line is the last one here.
    "create a iphash --hashsize 2048 --probes 4 --resize 50 --maxelem 10 --netmask 24\n",
    "create a iphash gc 10\n",
    "create a nethash\nadd a 10.0.0.0/8\n",
    "create a ipporthash --network 10.0.0.0/16\n",
    "create a ipportiphash --from 10.0.0.0 --to 10.0.255.255\n",
    "create a ipporthash\nadd a 10.0.0.1,80\n",
    "create a ipportiphash\nadd a 10.0.0.1,80,10.0.0.2\n",
    "create a ipportnethash\nadd a 10.0.0.1,80,10.0.0.0/8\n",
    "create a ipmap --from 10.0.0.0 --to 10.0.0.255\nadd a 10.0.0.1\n",
    "create a ipmap --network 10.0.0.0/8 --netmask 24\n",
    "create a macipmap network 10.0.0.0/24\nadd a 10.0.0.1,0:11:22:33:44:55\n",
    "create a portmap to 1000 from 1\nadd a tcp:80\n",
    "create a setlist --size 16\ncreate b iphash\nadd a b\n",
    "create a setlist\ncreate b iphash\ncreate c iphash\nadd a b\nadd a c,before,b\n",
    // Options with dashes, families, masks.
    "create a hash:ip,port --family inet6\ncreate b hash:ip -6\ncreate c hash:ip family ipv4\n",
    "create a hash:ip --timeout 600 --counters\nadd a 10.0.0.1 --packets 0x10 --bytes 010\n",
    "create a hash:net\nadd a 10.0.0.0/8 --nomatch\nadd a 10.1.0.0/16 nomatch nomatch\n",
    "create a hash:ip skbinfo\nadd a 10.0.0.1 skbmark 0x10/0xff skbprio 0x1:0x10 skbqueue 0x10\n",
    "create a bitmap:port range tcp:1-100\n",
    // Numbers as C reads them.
    "create a hash:ip hashsize 0x400 maxelem 0x10 netmask 0x18\n",
    "create a hash:ip maxelem 010\ncreate b hash:ip maxelem +10\n",
    "create a hash:net\nadd a 10.0.0.0/010\nadd a 11.0.0.0/0x10\n",
    "create a hash:ip,port\nadd a 10.0.0.1,0x6:0x50\nadd a 10.0.0.1,06:0100\nadd a 10.0.0.1,UDP:53\n",
    // Brackets.
    "create a hash:ip family inet6\nadd a [2001:DB8::1]\nadd a [2001:db8::2]/128\n",
    "create a hash:net family inet6\nadd a [2001:db8::]/32\n",
    "create a hash:ip,port family inet6\nadd a [2001:db8::1],tcp:80\nadd a [2001:db8::1],443\n",
    "create a hash:ip,port,ip family inet6\nadd a [2001:db8::1],80,[2001:db8::2]\n",
    "create a hash:ip\nadd a [10.0.0.1]\nadd a [10.0.0.2]-[10.0.0.2]\n",
    "create a bitmap:ip range [10.0.0.0]-[10.0.0.255]\n",
    // ICMP.
    "create a hash:ip,port\nadd a 10.0.0.1,icmp:ping\nadd a 10.0.0.1,icmp:0x3/1\n",
    "create a hash:ip,port family inet6\nadd a 2001:db8::1,icmpv6:neigbour-solicitation\n",
];

/// Files that `ipset restore` refuses, and so do we.
const REFUSED: &[&str] = &[
    "N a hash:ip\n",
    "-create a hash:ip\n",
    "ipset create a hash:ip\n",
    "create a hash:ip\ndelete a 10.0.0.1\n",
    "create a HASH:IP\n",
    "create a ip\n",
    "create a iptree\n",
    "create a iptreemap --gc 10\n",
    "create -n hash:ip\n",
    "create a hash:ip -family inet6\n",
    "create a hash:ip,port family INET6\n",
    "create a hash:ip hashsize 1K\n",
    "create a hash:ip timeout 600s\n",
    "create a hash:ip timeout -1\n",
    "create a hash:ip netmask 255.255.255.0\n",
    "create a hash:ip timeout 5 timeout 6\n",
    "create a hash:ip family inet family inet6\n",
    "create a hash:ip -- counters\n",
    "create a hash:ip from 10.0.0.0\n",
    "create a bitmap:ip range 10.0.0.0/24 probes 5\n",
    "create a list:set probes 5\n",
    "create a portmap from 1\n",
    "create a bitmap:ip from 10.0.0.0/24 to 10.0.0.255\n",
    "create a hash:ip\ncreate a hash:ip\n",
    "create a hash:ip\ncreate a hash:net -exist\n",
    "create a hash:ip\ncreate a hash:ip counters -exist\n",
    "create a hash:ip\nadd a 10.0.0.1,\n",
    "create a hash:ip\nadd a 10.0.0.1 # web\n",
    "create a hash:ip\nadd a 10.0.0.1 -exist 10.0.0.2\n",
    "create a hash:ip\nadd a 10.0.0.1/33\n",
    "create a hash:ip\nadd a [10.0.0.0/30]\n",
    "create a hash:net\nadd a 10.0.0.0/255.0.0.0\n",
    "create a hash:ip timeout 5\nadd a 10.0.0.1 -timeout 5\n",
    "create a hash:ip timeout 5\nadd a 10.0.0.1 timeout=5\n",
    "create a hash:ip timeout 5\nadd a 10.0.0.1 timeout 5 timeout 6\n",
    "create a hash:ip comment\nadd a 10.0.0.1 comment \"x\n",
    "create a hash:ip comment\nadd a 10.0.0.1 comment \"x\" \"y\"\n",
    "create a hash:ip comment\nadd a 10.0.0.1 comment -exist\n",
    "create a hash:ip,port\nadd a 10.0.0.1,tcp:080\n",
    "create a hash:ip,port\nadd a 10.0.0.1,[tcp:80]\n",
    "create a hash:ip,port\nadd a 10.0.0.1,tcp:[80]\n",
    "create a hash:ip,port\nadd a 10.0.0.1,all:80\n",
    "create a hash:ip,port\nadd a 10.0.0.1, tcp:80\n",
    "create a hash:ip,port\nadd a 10.0.0.1,icmp:8\n",
    "create a hash:ip skbinfo\nadd a 10.0.0.1 skbmark 1\n",
    "\u{feff}create a hash:ip\n",
];

/// The sets in a form to be compared: in order, without what the kernel chooses.
fn comparable(sets: Vec<Set>) -> BTreeSet<String> {
    let lines = sets.into_iter().flat_map(|mut set| {
        set.spec = set.spec.portable();
        let lines: Vec<_> = set.lines().map(|line| line.to_string()).collect();
        lines
    });
    lines
        .map(|line| match line.split_once(" before ") {
            // The kernel keeps the order, not the words.
            Some((line, _)) => line.to_owned(),
            None => line,
        })
        .collect()
}

/// Rounded as the kernel rounds it.
fn rounded(mut set: Set) -> Set {
    if let Some(buckets) = &mut set.spec.options.hashsize {
        *buckets = buckets.next_power_of_two().max(64);
    }
    set
}

pub(crate) fn what_ipset_takes_is_read_as_it_reads_it() {
    let mut compared = 0;
    for text in TAKEN {
        let ours = parse_save(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        // Not every kernel has every type.
        let mut client = client();
        if ours.iter().any(|set| {
            client
                .type_info(set.spec.set_type, set.spec.family)
                .is_err()
        }) {
            continue;
        }
        cmd_input("ipset restore", text);
        let saved = cmd("ipset save")
            .replace(" timeout 599", "")
            .replace(" timeout 600", "");
        let theirs = parse_save(&saved).unwrap();
        let ours = ours.into_iter().map(rounded).collect();
        let ours = comparable(ours)
            .into_iter()
            .map(|line| line.replace(" timeout 600", ""));
        assert_eq!(
            ours.collect::<BTreeSet<_>>(),
            comparable(theirs),
            "{text:?}"
        );
        cmd("ipset flush && ipset destroy");
        compared += 1;
    }
    assert!(compared > TAKEN.len() / 2, "{compared}");
}

pub(crate) fn what_ipset_refuses_is_refused() {
    for text in REFUSED {
        let ours = parse_save(text);
        assert!(ours.is_err(), "{text:?}: {ours:?}");
        assert!(try_cmd_input("ipset restore", text).is_err(), "{text:?}");
        cmd("ipset flush && ipset destroy");
    }
}

/// Case 59: bytes of a comment that are not UTF-8 come and go unchanged.
pub(crate) fn comments_need_not_be_utf8() {
    let mut client = client();
    let set = spec("s hash:ip comment");
    client.create(&set, Mode::Strict).unwrap();
    cmd("ipset add s 10.0.0.1 comment \"$(printf 'caf\\351')\"");
    let latin1 = Comment::from(&b"caf\xe9"[..]);
    let entry = Entry::ip([10, 0, 0, 1].into()).with_comment(latin1);
    let listed = client.list(name("s")).unwrap().set;
    assert_eq!(listed.entries, std::slice::from_ref(&entry));
    // Ours is theirs, byte for byte.
    client.flush(name("s")).unwrap();
    client.add(name("s"), &[entry], Mode::Strict).unwrap();
    let found = |bytes: &str| try_cmd(&format!("ipset save s | grep -aF \"$(printf '{bytes}')\""));
    assert!(found("comment \"caf\\351\"").is_ok());
    assert!(found("comment \"caf\\303\\251\"").is_err());
    // The text of the set carries it.
    assert_eq!(parse_save(listed.to_bytes()).unwrap(), [listed]);
}
