//! Limits in time, locks, large texts.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use iptables_restore::{Error, Family, RestoreInput, Rule, SaveOptions, TableName};

use crate::stand_ins::{LEGACY, NFT, OLD, StandIns, tools, two_tables};

#[test]
fn a_tool_that_does_not_end_is_killed() {
    // The second leaves a child behind that keeps the pipes open. Who waits for their end waits for an hour.
    for script in ["exec sleep 3600", "sleep 3600 & echo $! > $here/left"] {
        let (stand_ins, tools) = tools(NFT, script).unwrap();
        let error = tools
            .time_limit(Duration::from_millis(300))
            .restore(&two_tables().unwrap())
            .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        if let Ok(left) = stand_ins.file("left") {
            Command::new("kill").arg(left.trim()).status().unwrap();
        }
    }
}

/// Starts a child that leaves a file behind if it may live; all processes of the tool hold a lock meanwhile.
const CHILD: &str = r#"exec 9> "$here/alive"; flock 9; (sleep 20; echo > "$here/survived") & "#;

/// Waits until all processes of the tool are gone, and asserts that they were killed.
fn assert_all_killed(stand_ins: &StandIns) -> std::io::Result<()> {
    Command::new("flock")
        .arg(stand_ins.path().join("alive"))
        .arg("true")
        .status()?;
    assert!(stand_ins.file("survived").is_err());
    Ok(())
}

#[test]
fn a_tool_that_prints_for_ever_is_killed() {
    for (script, limit) in [("yes", 1 << 20), ("yes >&2", 1 << 20), ("yes x", 5)] {
        let stand_ins = StandIns::new()
            .unwrap()
            .add("iptables", NFT, "", &format!("{CHILD}{script}"))
            .unwrap();
        let tools = stand_ins.finder().find(Family::V4).unwrap();
        let error = tools
            .output_limit(limit)
            .save(&SaveOptions::new())
            .unwrap_err();
        let Error::OutputTooLong {
            program,
            limit: reported,
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(
            (program, *reported),
            (&stand_ins.path().join("iptables-save"), limit)
        );
        assert_all_killed(&stand_ins).unwrap();
    }
}

#[test]
fn children_of_a_tool_that_hangs_are_killed_too() {
    let (stand_ins, tools) = tools(NFT, &format!("{CHILD}wait")).unwrap();
    let error = tools
        .time_limit(Duration::from_secs(2))
        .restore(&two_tables().unwrap())
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_all_killed(&stand_ins).unwrap();
}

/// The wait for the lock ends before the tool would be killed.
#[test]
fn the_lock_is_waited_for_inside_the_time_limit() {
    let (stand_ins, tools) = tools(LEGACY, r#"echo "$@" > "$here/args""#).unwrap();
    for (wait, limit, option) in [(60, 10, "-w 9"), (3, 10, "-w 3"), (60, 1, "-w 1")] {
        let tools = tools
            .clone()
            .lock_wait(Duration::from_secs(wait))
            .time_limit(Duration::from_secs(limit));
        let outcome = tools.restore(&two_tables().unwrap());
        // With one second for all of it the tool may have been too slow.
        assert!(outcome.is_ok() || limit == 1, "{outcome:?}");
        if outcome.is_ok() {
            let args = stand_ins.file("args").unwrap();
            assert_eq!(args.trim(), format!("--noflush {option}"));
        }
    }
    // Before 1.6.2 we wait for it ourselves.
    let (stand_ins, tools) = crate::stand_ins::tools(OLD, "").unwrap();
    let mut holder = hold(&stand_ins.path().join("lock")).unwrap();
    let error = tools
        .lock_wait(Duration::from_secs(60))
        .time_limit(Duration::from_millis(1500))
        .restore(&two_tables().unwrap())
        .unwrap_err();
    assert!(
        matches!(error, Error::LockHeld { waited } if waited == Duration::from_secs(1)),
        "{error}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// Another program that holds the lock until it is killed.
fn hold(lock: &Path) -> std::io::Result<Child> {
    let flock = || {
        let mut command = Command::new("flock");
        command.arg("--no-fork");
        command
    };
    let holder = flock().arg(lock).args(["sleep", "30"]).spawn()?;
    while flock().arg("-n").arg(lock).arg("true").status()?.success() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(holder)
}

#[test]
fn messages_of_a_tool_are_shown_on_one_line_and_cut() {
    let script = "printf 'bad\\r\\033[2J\\n\\342\\200\\256x\\n' >&2; head -c 9000 /dev/zero | tr '\\0' y >&2; exit 3";
    let (_dir, tools) = tools(NFT, script).unwrap();
    let error = tools.restore(&two_tables().unwrap()).unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.contains("bad\\r\\u{1b}[2J\\n\\u{202e}x\\nyyy") && shown.ends_with("more bytes)"),
        "{shown}"
    );
    assert!(shown.chars().count() < 700, "{shown}");
    assert!(matches!(error, Error::Failed { message, .. } if message.len() > 9000));
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
    let mut holder = hold(&lock).unwrap();
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
