//! Finding and running the tools, with stand-ins that behave as told. The real tools are met in `tests/kernel.rs`.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use iptables_restore::{
    Backend, ChainName, Error, Family, Place, Refusal, RejectReason, RestoreInput, RestoreOptions,
    Rule, Ruleset, SaveOptions, TableName, ToolFinder, Tools, Version,
};

/// A directory of stand-ins.
struct StandIns(tempfile::TempDir);

impl StandIns {
    fn new() -> io::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds the three tools of a name; `restore` and `save` are shell scripts.
    fn add(self, stem: &str, version: &str, restore: &str, save: &str) -> io::Result<Self> {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools/stand-in");
        for (end, script) in [("", ""), ("-restore", restore), ("-save", save)] {
            symlink(&program, self.path().join(format!("{stem}{end}")))?;
            std::fs::write(self.path().join(format!("{stem}{end}.sh")), script)?;
        }
        std::fs::write(
            self.path().join(format!("{stem}.version")),
            format!("{version}\n"),
        )?;
        Ok(self)
    }

    fn finder(&self) -> ToolFinder {
        ToolFinder::new().directories([self.path()])
    }

    fn file(&self, name: &str) -> io::Result<String> {
        std::fs::read_to_string(self.path().join(name))
    }
}

const NFT: &str = "iptables v1.8.9 (nf_tables)";
const LEGACY: &str = "iptables v1.8.9 (legacy)";
const OLD: &str = "iptables v1.4.21";

/// Tools whose `iptables-restore` is this script.
fn tools(version: &str, restore: &str) -> Result<(StandIns, Tools), Box<dyn std::error::Error>> {
    let stand_ins = StandIns::new()?.add("iptables", version, restore, "")?;
    let tools = stand_ins
        .finder()
        .find(Family::Inet)?
        .lock_file(stand_ins.path().join("lock"));
    Ok((stand_ins, tools))
}

fn two_tables() -> Result<RestoreInput, iptables_restore::InvalidEdit> {
    let mut input = RestoreInput::new();
    input
        .table(TableName::Nat)
        .declare_chain("X")?
        .append("X", Rule::new().jump("RETURN"))?;
    input
        .table(TableName::Filter)
        .declare_chain("Y")?
        .append("Y", Rule::new().jump("NOPE"))?;
    Ok(input)
}

const TWO_TABLES: &str =
    "*nat\n:X - [0:0]\n-A X -j RETURN\nCOMMIT\n*filter\n:Y - [0:0]\n-A Y -j NOPE\nCOMMIT\n";

#[test]
fn finds_the_tools_asked_for() {
    let both = StandIns::new().unwrap();
    let both = both
        .add("iptables", LEGACY, "", "")
        .unwrap()
        .add("iptables-nft", NFT, "", "")
        .unwrap();
    let both = both.add("ip6tables", "ip6tables v1.6.0", "", "").unwrap();
    let found = both.finder().find(Family::Inet).unwrap();
    assert_eq!(
        (found.backend(), found.version()),
        (Backend::Legacy, Version::new(1, 8, 9))
    );
    assert_eq!(found.restore_path(), both.path().join("iptables-restore"));
    let found = both
        .finder()
        .backend(Backend::Nft)
        .find(Family::Inet)
        .unwrap();
    assert_eq!(
        (found.backend(), found.save_path()),
        (
            Backend::Nft,
            both.path().join("iptables-nft-save").as_path()
        )
    );
    assert!(found.features().random_fully);
    let found = both
        .finder()
        .backend(Backend::Legacy)
        .find(Family::Inet)
        .unwrap();
    assert_eq!(found.restore_path(), both.path().join("iptables-restore"));
    let found = both.finder().find(Family::Inet6).unwrap();
    assert_eq!(
        (found.family(), found.version()),
        (Family::Inet6, Version::new(1, 6, 0))
    );
    assert!(!found.features().random_fully);
}

#[test]
fn says_what_is_missing() {
    let none = StandIns::new().unwrap();
    let error = none
        .finder()
        .backend(Backend::Nft)
        .find(Family::Inet6)
        .unwrap_err();
    let expected = format!(
        "no ip6tables, ip6tables-save and ip6tables-restore (nf_tables) in {}: install iptables",
        none.path().display()
    );
    assert_eq!(error.to_string(), expected);
    let odd = none.add("iptables", "not a tool", "", "").unwrap();
    assert!(
        matches!(odd.finder().find(Family::Inet), Err(Error::Version { output, .. }) if output == "not a tool")
    );
    std::fs::remove_file(odd.path().join("iptables-save")).unwrap();
    assert!(matches!(
        odd.finder().find(Family::Inet),
        Err(Error::ToolsNotFound { .. })
    ));
}

#[test]
fn takes_the_back_end_in_use() {
    let rules = |count: usize| {
        format!(
            "printf '*nat\\n:A - [0:0]\\n{}COMMIT\\n'",
            "-A A -j RETURN\\n".repeat(count)
        )
    };
    let hint = "printf '*mangle\\n:KUBE-IPTABLES-HINT - [0:0]\\nCOMMIT\\n'".to_owned();
    for (legacy, nft, expected) in [
        (rules(2), rules(1), Backend::Legacy),
        (rules(1), rules(2), Backend::Nft),
        (hint.clone(), rules(9), Backend::Legacy),
        (rules(9), hint, Backend::Nft),
        (rules(0), rules(0), Backend::Legacy),
    ] {
        let both = StandIns::new()
            .unwrap()
            .add("iptables", LEGACY, "", &legacy)
            .unwrap();
        let both = both.add("iptables-nft", NFT, "", &nft).unwrap();
        assert_eq!(
            both.finder().find_in_use(Family::Inet).unwrap().backend(),
            expected
        );
    }
}

#[test]
fn hands_over_the_text_and_the_options() {
    let record = r#"echo "$@" > "$here/args"; cat > "$here/stdin""#;
    for (version, options, args) in [
        (NFT, RestoreOptions::default(), "--noflush"),
        (LEGACY, RestoreOptions::default(), "--noflush -w 5"),
        (
            LEGACY,
            RestoreOptions {
                test: true,
                counters: true,
            },
            "--noflush --test --counters -w 5",
        ),
        (
            OLD,
            RestoreOptions {
                test: false,
                counters: true,
            },
            "--noflush --counters",
        ),
    ] {
        let (stand_ins, tools) = tools(version, record).unwrap();
        tools
            .restore_with(&two_tables().unwrap(), &options)
            .unwrap();
        assert_eq!(stand_ins.file("args").unwrap().trim(), args);
        assert_eq!(stand_ins.file("stdin").unwrap(), TWO_TABLES);
    }
    let (stand_ins, tools) = tools(LEGACY, record).unwrap();
    tools
        .clone()
        .lock_wait(Duration::from_millis(1500))
        .check(&two_tables().unwrap())
        .unwrap();
    assert_eq!(
        stand_ins.file("args").unwrap().trim(),
        "--noflush --test -w 2"
    );
    std::fs::remove_file(stand_ins.path().join("args")).unwrap();
    tools.restore(&RestoreInput::new()).unwrap();
    assert!(
        stand_ins.file("args").is_err(),
        "nothing to do, nothing run"
    );
}

#[test]
fn reads_what_save_prints() {
    let save = r#"echo "$@" > "$here/args"; printf '# Warning\n*nat\n:A - [0:0]\n[1:2] -A A -j RETURN\nCOMMIT\n'"#;
    let stand_ins = StandIns::new()
        .unwrap()
        .add("iptables", NFT, "", save)
        .unwrap();
    let tools = stand_ins.finder().find(Family::Inet).unwrap();
    let options = SaveOptions {
        table: Some(TableName::Nat),
        counters: true,
    };
    let found = tools.save(&options).unwrap();
    assert_eq!(stand_ins.file("args").unwrap().trim(), "-c -t nat");
    assert_eq!(
        found,
        Ruleset::parse("*nat\n:A -\n-A A -j RETURN\nCOMMIT\n").unwrap()
    );
    let bad = StandIns::new()
        .unwrap()
        .add("iptables", NFT, "", "echo hello")
        .unwrap();
    let error = bad
        .finder()
        .find(Family::Inet)
        .unwrap()
        .save(&SaveOptions::default())
        .unwrap_err();
    assert!(
        matches!(&error, Error::Output { error, .. } if error.line == 1),
        "{error}"
    );
}

#[test]
fn a_rejection_names_the_edit_and_what_is_committed() {
    let (_stand_ins, tools) = tools(
        NFT,
        "echo \"iptables-nft-restore v1.8.9 (nf_tables): Chain 'NOPE' does not exist\" >&2\n\
         echo 'Error occurred at line: 8' >&2; exit 2",
    )
    .unwrap();
    let Err(Error::Rejected(rejection)) = tools.restore(&two_tables().unwrap()) else {
        panic!()
    };
    assert_eq!(
        rejection.reason,
        RejectReason::NoSuchTarget("NOPE".to_owned())
    );
    assert_eq!(
        (rejection.line, rejection.text.as_str()),
        (7, "-A Y -j NOPE"),
        "the culprit, not its COMMIT"
    );
    assert_eq!(rejection.edit.unwrap().to_string(), "-A Y -j NOPE");
    assert_eq!(
        (rejection.table, rejection.committed),
        (Some(TableName::Filter), vec![TableName::Nat])
    );
    let Err(Error::Rejected(tested)) = tools.check(&two_tables().unwrap()) else {
        panic!()
    };
    assert!(tested.committed.is_empty());
}

#[test]
fn the_reason_a_legacy_tool_does_not_give() {
    let failing = |line: usize| format!("echo 'iptables-restore: line {line} failed' >&2; exit 1");
    let table = |rules: &str| format!("printf '*nat\\n:OUTPUT ACCEPT\\n{rules}COMMIT\\n'");
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    nat.declare_chain("X").unwrap().delete_chain("Y").unwrap();
    let missing = RejectReason::Inferred(Refusal::NoSuchChain(ChainName::new("Y").unwrap()));
    for (line, rules, reason) in [
        (3, "", missing),
        // By now the chain is there and empty: nothing to see.
        (3, ":Y -\\n", RejectReason::Unexplained),
        // Another line than the one refused.
        (2, "", RejectReason::Unexplained),
        (4, ":Y -\\n", RejectReason::Commit),
    ] {
        let stand_ins = StandIns::new()
            .unwrap()
            .add("iptables", LEGACY, &failing(line), &table(rules))
            .unwrap();
        let tools = stand_ins.finder().find(Family::Inet).unwrap();
        let Err(Error::Rejected(rejection)) = tools.restore(&input) else {
            panic!()
        };
        assert_eq!((rejection.line, &rejection.reason), (line, &reason));
        if line == 3 && rules.is_empty() {
            let text = rejection.to_string();
            assert!(
                text.ends_with("refused line 3 (table nat): there is no chain Y: -X Y"),
                "{text}"
            );
        }
    }
}

#[test]
fn other_failures() {
    let (_dir, denied) = tools(
        NFT,
        "echo 'iptables: x: Permission denied (you must be root)' >&2; exit 4",
    )
    .unwrap();
    assert!(matches!(
        denied.restore(&two_tables().unwrap()),
        Err(Error::NotPermitted { .. })
    ));
    let (_dir, odd) = tools(NFT, "echo 'the sky fell' >&2; exit 7").unwrap();
    let error = odd.restore(&two_tables().unwrap()).unwrap_err();
    assert!(
        matches!(&error, Error::Failed { message, .. } if message == "the sky fell"),
        "{error}"
    );
    let (_dir, killed) = tools(NFT, "kill -9 $$").unwrap();
    let error = killed.restore(&two_tables().unwrap()).unwrap_err();
    assert!(
        matches!(&error, Error::Failed { status, .. } if status.contains("signal: 9")),
        "{error}"
    );
    let (dir, gone) = tools(NFT, "").unwrap();
    std::fs::remove_file(dir.path().join("iptables-restore")).unwrap();
    assert!(matches!(
        gone.restore(&two_tables().unwrap()),
        Err(Error::Io { .. })
    ));
}

#[test]
fn a_tool_that_does_not_end_is_killed() {
    // The second leaves a child behind that keeps the pipes open.
    for script in ["exec sleep 30", "sleep 30 & echo $! > $here/left"] {
        let (stand_ins, tools) = tools(NFT, script).unwrap();
        let started = Instant::now();
        let error = tools
            .time_limit(Duration::from_millis(300))
            .restore(&two_tables().unwrap())
            .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
        if let Ok(left) = stand_ins.file("left") {
            std::process::Command::new("kill")
                .arg(left.trim())
                .status()
                .unwrap();
        }
    }
}

#[test]
fn large_texts_do_not_block() {
    let mut input = RestoreInput::new();
    for number in 0..20_000 {
        let rule = Rule::new().comment(format!("{number:0200}")).jump("RETURN");
        input.table(TableName::Nat).append("X", rule).unwrap();
    }
    // One reads nothing, the other prints much before it reads.
    let (_dir, deaf) = tools(NFT, "exit 0").unwrap();
    deaf.restore(&input).unwrap();
    let (_dir, loud) = tools(
        NFT,
        "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; cat > /dev/null",
    )
    .unwrap();
    loud.restore(&input).unwrap();
}

/// iptables-restore before 1.6.2 takes no lock; `flock` and a socket of the same name tell whether we did.
#[test]
fn locks_for_old_tools() {
    let (stand_ins, tools) =
        tools(OLD, r#"flock -n "$here/lock" true; echo $? > "$here/held""#).unwrap();
    tools.restore(&two_tables().unwrap()).unwrap();
    assert_eq!(
        stand_ins.file("held").unwrap().trim(),
        "1",
        "the lock was held while the tool ran"
    );
    let lock = stand_ins.path().join("lock");
    let mut holder = std::process::Command::new("flock")
        .arg("--no-fork")
        .arg(&lock)
        .args(["sleep", "30"])
        .spawn()
        .unwrap();
    let busy = || {
        std::process::Command::new("flock")
            .arg("-n")
            .arg(&lock)
            .arg("true")
            .status()
            .unwrap()
    };
    while busy().success() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let error = tools
        .lock_wait(Duration::from_millis(100))
        .restore(&two_tables().unwrap())
        .unwrap_err();
    assert!(
        matches!(error, Error::LockHeld { waited } if waited == Duration::from_millis(100)),
        "{error}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn the_lock_of_newer_tools() {
    let (_dir, tools) = tools(
        LEGACY,
        "echo 'Another app is currently holding the xtables lock. Stopped waiting after 5s.' >&2; exit 4",
    )
    .unwrap();
    let error = tools.restore(&two_tables().unwrap()).unwrap_err();
    assert!(
        matches!(error, Error::LockHeld { waited } if waited == Duration::from_secs(5)),
        "{error}"
    );
}

#[test]
fn jumps_are_added_in_the_same_transaction() {
    let (stand_ins, tools) = tools(NFT, r#"cat > "$here/stdin""#).unwrap();
    let found = Ruleset::parse("*nat\n:OUTPUT ACCEPT\n:X -\n-A OUTPUT -j X\nCOMMIT\n").unwrap();
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    nat.declare_chain("X").unwrap();
    for chain in ["PREROUTING", "OUTPUT"] {
        nat.ensure_rule(&found, chain, Rule::new().jump("X"), Place::First)
            .unwrap();
    }
    tools.restore(&input).unwrap();
    assert_eq!(
        stand_ins.file("stdin").unwrap(),
        "*nat\n:X - [0:0]\n-I PREROUTING 1 -j X\nCOMMIT\n"
    );
}
