use super::*;
use crate::name::Policy;
use crate::{ApplyErrorKind, ApplyOptions, Ruleset, SaveFormat, Table};

/// What the tables are before each file.
const BEFORE: &str = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:X -\n\
                      -A INPUT -s 10.0.0.1/32 -j ACCEPT\n-A INPUT -s 10.0.0.2/32 -j DROP\n-A X -j RETURN\nCOMMIT\n";

/// The chains' lines after a file about the filter table, or the line and the reason of its refusal.
fn after(lines: &str, options: ApplyOptions) -> Result<String, (usize, ApplyErrorKind)> {
    let file = RestoreFile::parse(&format!("*filter\n{lines}COMMIT\n")).unwrap();
    let mut ruleset = Ruleset::parse(BEFORE).unwrap();
    let found = ruleset.clone();
    match file.apply(&mut ruleset, options) {
        Ok(()) => {
            let text = ruleset.display(SaveFormat::PLAIN).to_string();
            let ours = |line: &&str| {
                !["*filter", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", "COMMIT"].contains(line)
            };
            Ok(text.lines().filter(ours).collect::<Vec<_>>().join("; "))
        }
        Err(error) => {
            assert_eq!(ruleset, found);
            Err((error.number, error.error.kind))
        }
    }
}

fn chain(name: &str) -> ChainName {
    ChainName::new(name).unwrap()
}

const INPUT: &str =
    ":INPUT ACCEPT; :X -; -A INPUT -s 10.0.0.1/32 -j ACCEPT; -A INPUT -s 10.0.0.2/32 -j DROP";

/// As iptables-legacy-restore 1.8.9 did with each.
#[test]
fn files_do_what_the_tool_does() {
    let noflush = ApplyOptions::noflush();
    for (lines, expected) in [
        ("", format!("{INPUT}; -A X -j RETURN")),
        ("-F\n", ":INPUT ACCEPT; :X -".to_owned()),
        (
            "-F INPUT\n",
            ":INPUT ACCEPT; :X -; -A X -j RETURN".to_owned(),
        ),
        ("-F X\n-X X\n", INPUT.replace(" :X -;", "")),
        ("-F\n-X\n", ":INPUT ACCEPT".to_owned()),
        (":X - [0:0]\n", INPUT.to_owned()),
        (":X - [0:0]\n-A X -j DROP\n:X - [0:0]\n", INPUT.to_owned()),
        (
            "-F\n-I INPUT -j LOG\n-I INPUT -j X\n-I INPUT 2 -j DROP\n",
            ":INPUT ACCEPT; :X -; -A INPUT -j X; -A INPUT -j DROP; -A INPUT -j LOG".to_owned(),
        ),
        (
            "-D INPUT 1\n-F X\n",
            ":INPUT ACCEPT; :X -; -A INPUT -s 10.0.0.2/32 -j DROP".to_owned(),
        ),
        (
            "-D INPUT -s 10.0.0.2 -j DROP\n-F X\n",
            ":INPUT ACCEPT; :X -; -A INPUT -s 10.0.0.1/32 -j ACCEPT".to_owned(),
        ),
        (
            "-R INPUT 1 -j LOG\n-F X\n",
            ":INPUT ACCEPT; :X -; -A INPUT -j LOG; -A INPUT -s 10.0.0.2/32 -j DROP".to_owned(),
        ),
        (
            "-F\n-A INPUT -s 1.1.1.1,2.2.2.2 -j X\n",
            ":INPUT ACCEPT; :X -; -A INPUT -s 1.1.1.1/32 -j X; -A INPUT -s 2.2.2.2/32 -j X"
                .to_owned(),
        ),
        (
            "-F\n-I INPUT 1 -s 1.1.1.1,2.2.2.2 -j X\n",
            ":INPUT ACCEPT; :X -; -A INPUT -s 2.2.2.2/32 -j X; -A INPUT -s 1.1.1.1/32 -j X"
                .to_owned(),
        ),
        ("-P INPUT DROP\n-F\n", ":INPUT DROP; :X -".to_owned()),
        (":INPUT DROP [3:4]\n-F\n", ":INPUT DROP; :X -".to_owned()),
        (":INPUT - [0:0]\n", format!("{INPUT}; -A X -j RETURN")),
        (
            "-F INPUT\n-A INPUT -j X\n-E X W\n",
            ":INPUT ACCEPT; :W -; -A INPUT -j W; -A W -j RETURN".to_owned(),
        ),
        (
            "-C INPUT -s 10.0.0.2 -j DROP\n-Z\n-Z INPUT\n-Z INPUT 2\n",
            format!("{INPUT}; -A X -j RETURN"),
        ),
        (
            "-F\n-N Y\n-A Y -j X\n",
            ":INPUT ACCEPT; :X -; :Y -; -A Y -j X".to_owned(),
        ),
        (
            "-F\n-X\n-N X\n-A X -j LOG\n-D X 1\n-X X\n",
            ":INPUT ACCEPT".to_owned(),
        ),
    ] {
        assert_eq!(after(lines, noflush), Ok(expected), "{lines}");
    }
    let flush = ApplyOptions::new();
    for (lines, expected) in [
        ("", ":INPUT ACCEPT"),
        (
            ":INPUT DROP [0:0]\n:X - [0:0]\n-A INPUT -j X\n",
            ":INPUT DROP; :X -; -A INPUT -j X",
        ),
        (
            "-N X\n-A INPUT -j X\n",
            ":INPUT ACCEPT; :X -; -A INPUT -j X",
        ),
        (
            "COMMIT\n*filter\n-A INPUT -j LOG\nCOMMIT\n*filter\n-A INPUT -j DROP\n",
            ":INPUT ACCEPT; -A INPUT -j DROP",
        ),
        ("-P INPUT DROP\nCOMMIT\n*filter\n", ":INPUT DROP"),
    ] {
        assert_eq!(after(lines, flush), Ok(expected.to_owned()), "{lines}");
    }
}

#[test]
fn refusals_name_the_line() {
    use ApplyErrorKind as K;
    let noflush = ApplyOptions::noflush();
    let none = |position, len| K::NoRuleAt { position, len };
    for (lines, line, kind) in [
        ("\n# x\n-D INPUT 3\n", 4, none(3, 2)),
        ("-F X\n-R X 1 -j LOG\n", 3, none(1, 0)),
        ("-Z INPUT 9\n", 2, none(9, 2)),
        (
            "-I INPUT 4 -j LOG\n",
            2,
            K::PositionTooBig {
                position: 4,
                len: 2,
            },
        ),
        ("-N X\n", 2, K::ChainExists(chain("X"))),
        ("-N INPUT\n", 2, K::ChainExists(chain("INPUT"))),
        ("-E X INPUT\n", 2, K::ChainExists(chain("INPUT"))),
        ("-E INPUT Y\n", 2, K::BuiltinChain(chain("INPUT"))),
        ("-E Y Z\n", 2, K::NoSuchChain(chain("Y"))),
        (
            "-X\n",
            2,
            K::NotEmpty {
                chain: chain("X"),
                rules: 1,
            },
        ),
        (
            "-F X\n-A INPUT -j X\n-X\n",
            4,
            K::StillReferenced {
                chain: chain("X"),
                from: chain("INPUT"),
            },
        ),
        (
            "-F X\n-R INPUT 1 -j X\n-X X\n",
            4,
            K::StillReferenced {
                chain: chain("X"),
                from: chain("INPUT"),
            },
        ),
        ("-C INPUT -j LOG\n", 2, K::NoSuchRule(chain("INPUT"))),
        ("-D INPUT -j LOG\n", 2, K::NoSuchRule(chain("INPUT"))),
        ("-F NONE\n", 2, K::NoSuchChain(chain("NONE"))),
        ("-Z NONE\n", 2, K::NoSuchChain(chain("NONE"))),
        (
            "-R INPUT 1 -j NONE\n",
            2,
            K::NoSuchTarget("NONE".to_owned()),
        ),
        ("-P X DROP\n", 2, K::PolicyOfUserChain(chain("X"))),
        (
            "-P INPUT REJECT\n",
            2,
            K::NoSuchPolicy(Policy::from("REJECT")),
        ),
        (":Y DROP [0:0]\n", 2, K::NoSuchChain(chain("Y"))),
        ("-A INPUT -j X\n-F X\n-A X -j X\n", 5, K::Loop(chain("X"))),
        (
            "-A INPUT -j X\n-E X W\n-R W 1 -j W\n",
            5,
            K::Loop(chain("W")),
        ),
    ] {
        assert_eq!(after(lines, noflush), Err((line, kind)), "{lines}");
    }
    let flush = ApplyOptions::new();
    for (lines, line, kind) in [
        (
            ":A - [0:0]\n-A A -j LOG\n:A - [0:0]\n",
            4,
            K::ChainExists(chain("A")),
        ),
        ("-A X -j LOG\n", 2, K::NoSuchChain(chain("X"))),
    ] {
        assert_eq!(after(lines, flush), Err((line, kind)), "{lines}");
    }
}

#[test]
fn sections_are_committed_one_by_one() {
    let file =
        RestoreFile::parse("*raw\n-N A\nCOMMIT\n\n*nat\n-N B\n-N B\nCOMMIT\n*raw\n-N C\nCOMMIT\n")
            .unwrap();
    let mut ruleset = Ruleset::new();
    let error = file
        .apply(&mut ruleset, ApplyOptions::noflush())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 7: table nat: there is a chain B: -N B"
    );
    let tables: Vec<_> = ruleset
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(tables, ["raw"]);
    assert!(ruleset.tables[0].chain("A").is_some() && ruleset.tables[0].chain("C").is_none());
    let error = RestoreFile::parse("*bogus\nCOMMIT\n")
        .unwrap()
        .apply(&mut ruleset, ApplyOptions::new());
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "line 1: table bogus: there is no such table: *bogus");
    // A table that is only named is there afterwards.
    RestoreFile::parse("*nat\nCOMMIT\n")
        .unwrap()
        .apply(&mut ruleset, ApplyOptions::new())
        .unwrap();
    assert_eq!(ruleset.tables[1], Table::builtin(TableName::Nat));
}

#[test]
fn counters_are_set_where_asked_for() {
    let text = "*filter\n:INPUT DROP [3:4]\n[5:6] -A INPUT -j LOG\n-A INPUT -j X\n[7:8] -R INPUT 2 -j DROP\nCOMMIT\n";
    let file = RestoreFile::parse(&format!("{}{text}", text.replace(" X", " LOG"))).unwrap();
    let shown = |options| {
        let mut ruleset = Ruleset::new();
        file.apply(&mut ruleset, options).map(|()| {
            let text = ruleset.display(SaveFormat::SAVE_COUNTERS).to_string();
            let wanted = |line: &&str| line.contains("INPUT");
            text.lines().filter(wanted).collect::<Vec<_>>().join("; ")
        })
    };
    // The second section is refused: X is not there.
    assert_eq!(shown(ApplyOptions::new()).unwrap_err().number, 10);
    let file = RestoreFile::parse(&text.replace(" X", " LOG")).unwrap();
    let shown = |options| {
        let mut ruleset = Ruleset::new();
        file.apply(&mut ruleset, options).unwrap();
        let text = ruleset.display(SaveFormat::SAVE_COUNTERS).to_string();
        let wanted = |line: &&str| line.contains("INPUT");
        text.lines().filter(wanted).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        shown(ApplyOptions::new()),
        ":INPUT DROP [0:0]; [0:0] -A INPUT -j LOG; [0:0] -A INPUT -j DROP"
    );
    assert_eq!(
        shown(ApplyOptions::new().counters()),
        ":INPUT DROP [3:4]; [5:6] -A INPUT -j LOG; [7:8] -A INPUT -j DROP"
    );
    let mut counted = Ruleset::new();
    file.apply(&mut counted, ApplyOptions::new().counters())
        .unwrap();
    let zero = RestoreFile::parse("*filter\n-Z INPUT 2\n-Z FORWARD\nCOMMIT\n").unwrap();
    zero.apply(&mut counted, ApplyOptions::noflush()).unwrap();
    let text = counted.display(SaveFormat::SAVE_COUNTERS).to_string();
    assert!(
        text.contains(":INPUT DROP [3:4]\n")
            && text.contains("[5:6] -A INPUT -j LOG\n[0:0] -A INPUT -j DROP"),
        "{text}"
    );
    let zero = RestoreFile::parse("*filter\n-Z\nCOMMIT\n").unwrap();
    zero.apply(&mut counted, ApplyOptions::noflush()).unwrap();
    let text = counted.display(SaveFormat::SAVE_COUNTERS).to_string();
    assert!(
        text.contains(":INPUT DROP [0:0]\n") && text.contains("[0:0] -A INPUT -j LOG"),
        "{text}"
    );
}
