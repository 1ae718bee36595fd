//! Limits in time, locks, large texts.

use std::time::{Duration, Instant};

use iptables_restore::{Error, RestoreInput, Rule, TableName};

use crate::stand_ins::{LEGACY, NFT, OLD, tools, two_tables};

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
