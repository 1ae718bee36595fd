//! Files for `ipset restore`: carried out by it and by us, with the same sets afterwards and the same line at fault.

use std::collections::BTreeSet;

use ipset_netlink::message::Mode;
use ipset_netlink::{Error, Set};
use kernel_test::{cmd, cmd_input, try_cmd_input};

use super::client;

/// What there is before each file.
const BEFORE: &str = "create h hash:ip\nadd h 10.9.0.1\nadd h 10.9.0.2\ncreate n hash:net\nadd n 10.9.0.0/16\n\
                      create p bitmap:port range 0-99\nadd p 9\ncreate l list:set\nadd l h\n";

/// Files that `ipset restore` carries out, to the end.
const CARRIED_OUT: &[&str] = &[
    // As `ipset save` prints it.
    "create a hash:ip family inet hashsize 1024 maxelem 65536\nadd a 10.0.0.1\nadd a 10.0.0.2\n",
    // Sets that are there.
    "add h 10.0.0.1\ndel h 10.9.0.1\nadd n 10.0.0.0/8 nomatch\nadd p 80\nadd p 10-19\n",
    "flush h\nadd h 10.0.0.1\n",
    "flush\nadd h 10.0.0.1\n",
    "destroy n\ncreate n hash:ip\nadd n 10.0.0.1\n",
    "del l h\ndestroy\ncreate h hash:net\nadd h 10.0.0.0/8\n",
    "rename n m\nadd m 10.0.0.0/8\ncreate n hash:ip\nadd n 10.0.0.1\n",
    // A set is filled beside the one in use and takes its place.
    "create tmp hash:ip\nadd tmp 10.0.0.1\nadd tmp 10.0.0.2\nswap tmp h\ndestroy tmp\nadd h 10.0.0.3\n",
    "create tmp -exist hash:ip\nflush tmp\nadd tmp 10.0.0.1\nswap h tmp\ndestroy tmp\n",
    "create b bitmap:ip range 10.9.0.0/24\nswap b h\nadd h 10.9.0.7\nadd b 10.0.0.1\n",
    // Tests that succeed.
    "add h 10.0.0.1\ntest h 10.9.0.1\n",
    "add h 10.0.0.1\ntest n 10.9.1.2\n",
    "add h 10.0.0.1\ntest l h\n",
    // What is there already, what is missing.
    "add h 10.9.0.1 -exist\nadd h 10.9.0.1\ncreate h hash:ip\ndel h 10.1.1.1\ndestroy nosuch\n",
    "-exist create h hash:ip\nadd h 10.9.0.1\nadd h 10.0.0.1\n",
    "del h 10.1.1.1 -!\nadd h 10.0.0.1\n",
    "flush h -exist\nadd h 10.0.0.1\nadd h 10.0.0.1\n",
    // Spellings, blanks, comments, CR LF.
    "-N a iphash\n-A a 10.0.0.1\n-A a 10.0.0.2\n-D a 10.0.0.1\n-E a b\n-N c iphash\n-W b c\n-F c\n-X b\n",
    "--create a hash:ip\n--add a 10.0.0.1\n--flush n\n--rename a b\n--swap b h\n--del l h\n--destroy b\n",
    "n a hash:ip\nad a 10.0.0.1\nfl n\nren a b\nw b h\nde l h\nx b\n",
    "# comment\r\n\r\ncreate a hash:ip comment\r\n\tadd\ta 10.0.0.1 comment \"x  y\"\r\nCOMMIT\r\n",
    "create a hash:ip timeout 0 counters comment skbinfo\n\
     add a 10.0.0.1 packets 5 bytes 6 comment \"x -exist\" skbmark 0x1/0xff skbprio 1:10 skbqueue 3\n",
    "create a list:set\nadd a h\nadd a n before h\nadd a p after h\ndel a h\ntest a n before p\n",
    // At `quit` ipset 7.17 drops entries that it has not sent yet; another command makes it send them.
    "add h 10.0.0.1\nflush n\nquit\nadd nosuch 10.0.0.1\n",
    "add h 10.0.0.1",
    // Order: what is deleted is added again.
    "add h 10.0.0.1\ndel h 10.0.0.1\nadd h 10.0.0.1\nadd n 10.0.0.0/8\nadd h 10.0.0.2\n",
];

/// Files that the kernel stops, with the line that `ipset restore` names.
const STOPPED: &[(&str, usize)] = &[
    (
        "add h 10.0.0.1\nadd h 10.0.0.2\nadd h 10.0.0.1\nadd h 10.0.0.3\n",
        3,
    ),
    (
        "# x\n\nadd h 10.0.0.1\n\nadd h 10.9.0.1\nadd h 10.0.0.3\n",
        5,
    ),
    ("add h 10.0.0.1\ndel h 10.0.0.9\nadd h 10.0.0.3\n", 2),
    (
        "add h 10.0.0.1\nadd n 10.0.0.0/8\nadd h 10.0.0.1\nadd n 11.0.0.0/8\n",
        3,
    ),
    ("add p 1\nadd p 100\nadd p 2\n", 2),
    (
        "create a hash:ip maxelem 2\nadd a 10.0.0.1\nadd a 10.0.0.2\nadd a 10.0.0.3\nadd a 10.0.0.4\n",
        4,
    ),
    ("add h 10.0.0.1\ncreate h hash:ip\nadd h 10.0.0.2\n", 2),
    ("create h hash:net -exist\n", 1),
    ("add n 0.0.0.0/0\n", 1),
    ("add h 10.0.0.1\nflush nosuch\nflush\n", 2),
    ("add h 10.0.0.1\ndestroy nosuch\nflush\n", 2),
    ("add h 10.0.0.1\ndestroy h\nflush\n", 2),
    ("add h 10.0.0.1\ndestroy\nflush\n", 2),
    ("rename h p\n", 1),
    ("rename nosuch a\n", 1),
    ("rename h a\n", 1),
    ("add h 10.0.0.1\nswap h nosuch\n", 2),
    ("swap nosuch h\n", 1),
    ("add h 10.0.0.1\nswap h n\nflush\n", 2),
    ("add l nosuch\n", 1),
    ("add l n before p\n", 1),
];

/// Files that end at a line which `ipset restore` names too; what it did before depends on how it collects lines, and
/// we do nothing.
const UNREADABLE: &[(&str, usize)] = &[
    ("add h 10.0.0.1\nadd h 10.0.0.x\nadd h 10.0.0.3\n", 2),
    ("add h 10.0.0.1\nadd nosuch 10.0.0.2\n", 2),
    ("flush n\nrename n a\nadd n 10.0.0.0/8\n", 3),
    ("destroy n\nadd n 10.0.0.0/8\n", 2),
    ("create a hash:ip,port\nadd a 10.0.0.1,gre:80x\n", 2),
];

/// Files of which `ipset restore` names no line: it calls its use wrong.
const MISUSED: &[&str] = &[
    "add h 10.0.0.1\nnonsense\n",
    "flush h n\n",
    "destroy h n\n",
    "rename h\n",
    "swap h\n",
    "rename h a b\n",
    "help\n",
    "restore\n",
    "del h 10.9.0.1 timeout 5\n",
    "del n 10.9.0.0/16 nomatch\n",
    "create a hash:ip\nCOMMIT x\n",
    "create a\n",
];

fn start_again() {
    cmd("ipset flush && ipset destroy");
    cmd_input("ipset restore", BEFORE);
}

/// All sets, in order, without what the kernel chooses.
fn saved() -> BTreeSet<String> {
    let sets = client().list_all().unwrap();
    let portable = sets.into_iter().map(|listed| Set {
        spec: listed.set.spec.portable(),
        entries: listed.set.entries,
    });
    let lines: Vec<_> = portable
        .map(|set| (set.spec.set_type.as_str() == "list:set", set))
        .collect();
    lines
        .into_iter()
        .flat_map(|(ordered, set)| match ordered {
            // The order of members is of the set.
            true => vec![set.to_string()],
            false => set.lines().map(|line| line.to_string()).collect(),
        })
        .collect()
}

pub(crate) fn what_ipset_carries_out() {
    for text in CARRIED_OUT {
        start_again();
        cmd_input("ipset restore", text);
        let theirs = saved();
        start_again();
        client()
            .restore(text, Mode::Strict)
            .unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(saved(), theirs, "{text:?}");
    }
    // Behind a test that succeeds, ipset 7.17 passes over the rest and reports success; we go on.
    let text = "add h 10.0.0.1\ntest h 10.9.0.1\nadd h 10.0.0.2\n";
    start_again();
    cmd_input("ipset restore", text);
    assert!(!saved().contains("add h 10.0.0.2"));
    start_again();
    client().restore(text, Mode::Strict).unwrap();
    assert!(saved().contains("add h 10.0.0.2"));
    // The option before the command holds for all lines.
    let text = "create h hash:ip\nadd h 10.9.0.1\ndel h 10.1.1.1\nadd h 10.0.0.1\ndestroy nosuch\n";
    start_again();
    cmd_input("ipset -exist restore", text);
    let theirs = saved();
    start_again();
    client().restore(text, Mode::Idempotent).unwrap();
    assert_eq!(saved(), theirs);
    start_again();
    let error = client().restore(text, Mode::Strict).unwrap_err();
    assert!(matches!(error, Error::Line { line: 1, .. }), "{error}");
    cmd("ipset flush && ipset destroy");
}

/// The line that `ipset` names.
fn their_line(text: &str) -> Option<usize> {
    let error = try_cmd_input("ipset restore", text)
        .unwrap_err()
        .to_string();
    let (_, rest) = error.split_once("Error in line ")?;
    rest.split(':').next()?.parse().ok()
}

#[track_caller]
fn our_line(text: &str) -> usize {
    match client().restore(text, Mode::Strict) {
        Err(Error::Line { line, .. }) => line,
        other => panic!("{text:?}: {other:?}"),
    }
}

pub(crate) fn what_ipset_stops_at() {
    for (text, line) in STOPPED {
        start_again();
        assert_eq!(their_line(text), Some(*line), "{text:?}");
        let theirs = saved();
        start_again();
        assert_eq!(our_line(text), *line, "{text:?}");
        assert_eq!(saved(), theirs, "{text:?}");
    }
    start_again();
    let before = saved();
    for (text, line) in UNREADABLE {
        assert_eq!(our_line(text), *line, "{text:?}");
        assert_eq!(saved(), before, "{text:?}");
        assert_eq!(their_line(text), Some(*line), "{text:?}");
        start_again();
    }
    for text in MISUSED {
        our_line(text);
        assert_eq!(saved(), before, "{text:?}");
        assert_eq!(their_line(text), None, "{text:?}");
        start_again();
    }
    // A test that finds nothing ends the file; ipset names no line.
    let text = "add h 10.0.0.1\ntest h 10.1.1.1\nadd h 10.0.0.2\n";
    assert_eq!(their_line(text), None);
    let theirs = saved();
    start_again();
    assert_eq!(our_line(text), 2);
    assert_eq!(saved(), theirs);
    cmd("ipset flush && ipset destroy");
}

/// The line is counted over all messages of a file.
pub(crate) fn lines_of_large_files() {
    let mut text = String::from("create big hash:ip,port\n");
    for number in 0..5000u32 {
        let [.., high, low] = number.to_be_bytes();
        text.push_str(&format!("add big 10.0.{high}.{low},tcp:80\n"));
    }
    let mut client = client();
    client.restore(&text, Mode::Strict).unwrap();
    let count = client.info("big".parse().unwrap()).unwrap().usage.entries;
    assert_eq!(count, Some(5000));
    cmd("ipset destroy");
    // An entry that is there, behind four thousand that are not.
    let mut lines: Vec<_> = text.lines().collect();
    lines[4600] = lines[17];
    let text = lines.join("\n");
    let error = client.restore(&text, Mode::Strict).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 4601: adding 10.0.0.16,tcp:80 to set big: the entry is in the set"),
        "{error}"
    );
    let count = client.info("big".parse().unwrap()).unwrap().usage.entries;
    assert_eq!(count, Some(4599));
}
