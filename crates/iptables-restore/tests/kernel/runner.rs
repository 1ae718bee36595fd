//! Lock, counters, jumps, the choice of a back end.

use std::time::{Duration, Instant};

use iptables_restore::{
    Backend, Counters, Error, Family, InsertAt, RestoreInput, RestoreOptions, Rule, SaveOptions,
    TableName, ToolFinder,
};

use crate::{saved, tools};

fn one_chain() -> RestoreInput {
    let mut input = RestoreInput::new();
    input.table(TableName::Nat).declare_chain("X").unwrap();
    input
}

/// Held by flock(1), as another program would. `/run` is this test's own.
pub(crate) fn the_lock(backend: Backend) {
    let tools = tools(backend, Family::V4).lock_wait(Duration::from_secs(1));
    let mut holder = std::process::Command::new("flock")
        .args(["--no-fork", "/run/xtables.lock", "sleep", "40"])
        .spawn()
        .unwrap();
    while kernel_test::try_cmd("flock -n /run/xtables.lock true").is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = Instant::now();
    let outcome = tools.restore(&one_chain());
    assert!(started.elapsed() < Duration::from_secs(20));
    match backend {
        Backend::Legacy => {
            let error = outcome.unwrap_err();
            assert!(
                matches!(error, Error::LockHeld { waited } if waited == Duration::from_secs(1)),
                "{error}"
            );
            // Saving needs no lock.
            assert!(
                saved(&tools)
                    .table(&TableName::Nat)
                    .is_none_or(|nat| nat.chain("X").is_none())
            );
        }
        Backend::Nft => outcome.unwrap(),
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    tools
        .lock_wait(Duration::from_secs(60))
        .restore(&one_chain())
        .unwrap();
}

/// A tool that pretends to be too old to lock runs a newer one: which finds the lock held, by us.
pub(crate) fn the_lock_of_old_tools() {
    let real = tools(Backend::Legacy, Family::V4);
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("iptables", "echo 'iptables v1.4.21'".to_owned()),
        (
            "iptables-save",
            format!("exec {}", real.save_path().display()),
        ),
        (
            "iptables-restore",
            format!("exec {} --noflush -w 1", real.restore_path().display()),
        ),
    ] {
        kernel_test::script(folder.path().join(name), &text);
    }
    let tools = ToolFinder::new()
        .directories([folder.path()])
        .find(Family::V4)
        .unwrap();
    assert!(tools.features().caller_locks);
    let error = tools.restore(&one_chain()).unwrap_err();
    assert!(matches!(error, Error::LockHeld { .. }), "{error}");
    // Given back afterwards.
    real.restore(&one_chain()).unwrap();
}

pub(crate) fn counters(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let mut input = one_chain();
    let counters = Counters {
        packets: 12,
        bytes: 3456,
    };
    input
        .table(TableName::Nat)
        .append("X", Rule::new().jump("RETURN").with_counters(counters))
        .unwrap();
    let read = || {
        let found = tools
            .save(&SaveOptions::new().table(TableName::Nat).counters())
            .unwrap();
        assert_eq!(found.tables.len(), 1);
        found
            .table(&TableName::Nat)
            .unwrap()
            .chain("X")
            .unwrap()
            .rules[0]
            .counters
    };
    tools.restore(&input).unwrap();
    assert_eq!(read(), Some(Counters::default()));
    tools
        .restore_with(&input, &RestoreOptions::new().counters())
        .unwrap();
    assert_eq!(read(), Some(counters));
}

pub(crate) fn jumps_only_where_missing(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let foreign = Rule::new().comment("somebody's").jump("ACCEPT");
    let jump = Rule::new().comment("it's \"ours\"").jump("OURS");
    let mut before = RestoreInput::new();
    before
        .table(TableName::Nat)
        .append("OUTPUT", foreign.clone())
        .unwrap();
    tools.restore(&before).unwrap();
    for round in 0..3 {
        let found = saved(&tools);
        let mut input = RestoreInput::new();
        let nat = input.table(TableName::Nat);
        nat.declare_chain("OURS").unwrap();
        nat.ensure_rule(&found, "OUTPUT", jump.clone(), InsertAt::Start)
            .unwrap();
        nat.ensure_rule(&found, "PREROUTING", jump.clone(), InsertAt::End)
            .unwrap();
        assert_eq!(nat.edits().len(), if round == 0 { 3 } else { 1 });
        tools.restore(&input).unwrap();
        let found = saved(&tools);
        let nat = found.table(&TableName::Nat).unwrap();
        assert_eq!(
            nat.chain("OUTPUT").unwrap().rules,
            [jump.clone(), foreign.clone()]
        );
        assert_eq!(
            nat.chain("PREROUTING").unwrap().rules,
            std::slice::from_ref(&jump)
        );
    }
    let found = saved(&tools);
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    for chain in ["OUTPUT", "PREROUTING", "INPUT"] {
        nat.ensure_no_rule(&found, chain, &jump).unwrap();
    }
    nat.delete_chain("OURS").unwrap();
    tools.restore(&input).unwrap();
    let found = saved(&tools);
    let nat = found.table(&TableName::Nat).unwrap();
    assert_eq!(nat.chain("OUTPUT").unwrap().rules, [foreign]);
    assert!(nat.chain("OURS").is_none());
}

pub(crate) fn the_back_end_in_use(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let mut input = one_chain();
    input
        .table(TableName::Nat)
        .append("X", Rule::new())
        .unwrap();
    tools.restore(&input).unwrap();
    // What is called just `iptables` is of nft here, for which the guest's kernel has no modules loaded or none at all.
    assert_eq!(
        ToolFinder::new().find_in_use(Family::V4).unwrap().backend(),
        backend
    );
    let asked = ToolFinder::new()
        .backend(backend)
        .find_in_use(Family::V4)
        .unwrap();
    assert_eq!(asked.backend(), backend);
}
