//! Tools that hang, and those that do not.

use std::fs;
use std::path::{Path, PathBuf};

use iptables_restore::{Family, Rule, TableName, ToolFinder};

use super::*;
use crate::tools::tests::stand_in;

/// How long what must come is waited for. The machine may be busy with something else.
const LONG: Duration = Duration::from_secs(60);
/// How long a tool is waited for that hangs.
const SHORT: Duration = Duration::from_millis(100);

/// Tools that hang while there is a file called `hang` beside them.
struct Fake(PathBuf);

impl Fake {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let hang = format!(
            "while [ -e {0}/hang ]; do sleep 0.02; done",
            folder.display()
        );
        let scripts = [
            (
                "iptables",
                format!(
                    "[ -e {0}/hang-all ] && {{ {hang}; }}\necho 'iptables v1.8.9 (legacy)'",
                    folder.display()
                ),
            ),
            (
                "iptables-save",
                format!(
                    "{hang}\n[ \"$1\" = --version ] && exec {0}/iptables\nprintf '*filter\\n:INPUT ACCEPT [0:0]\\n:FORWARD ACCEPT \
                     [0:0]\\n:OUTPUT ACCEPT [0:0]\\n'; cat {0}/rules 2>/dev/null; echo COMMIT",
                    folder.display()
                ),
            ),
            (
                "iptables-restore",
                format!(
                    "[ \"$1\" = --version ] && exec {0}/iptables\ncat > {0}/input; {hang}\ngrep '^-A' {0}/input >> {0}/rules; \
                     true",
                    folder.display()
                ),
            ),
        ];
        for (name, script) in scripts {
            stand_in(&folder.join(name), &script);
        }
        Self(folder)
    }

    fn rules(&self) -> Rules {
        let finder = ToolFinder::new().directories([&self.0]);
        let mut rules = Rules::find(move || finder.find(Family::V4).map(Found::from)).unwrap();
        rules.patience = LONG;
        rules
    }

    /// The same, once they are found.
    fn found(&self) -> Rules {
        let mut rules = self.rules();
        rules.wait_until_found(Instant::now() + LONG).unwrap();
        assert!(rules.tools().is_some());
        rules
    }

    /// The same while they hang as they are looked for.
    fn not_found_in_time(&self) -> Rules {
        fs::write(self.0.join("hang-all"), "").unwrap();
        self.hang(true);
        let mut rules = self.rules();
        rules.wait_until_found(Instant::now() + SHORT).unwrap();
        assert!(rules.tools().is_none());
        rules
    }

    fn hang(&self, hang: bool) {
        let file = self.0.join("hang");
        if hang {
            fs::write(file, "").unwrap();
        } else {
            fs::remove_file(file).unwrap();
        }
    }

    /// How many rules the kernel has, so to speak.
    fn held(&self) -> usize {
        fs::read_to_string(self.0.join("rules")).map_or(0, |text| text.lines().count())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all::<&Path>(&self.0);
    }
}

fn change(port: u16) -> RestoreInput {
    let mut input = RestoreInput::new();
    let rule = Rule::new().comment(port.to_string()).jump("ACCEPT");
    input
        .table(TableName::Filter)
        .append("INPUT", rule)
        .unwrap();
    input
}

fn read(rules: &mut Rules) -> usize {
    let deadline = Instant::now() + LONG;
    loop {
        match rules.save() {
            Saved::Read(found) => return found.tables[0].chains[0].rules.len(),
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
    }
}

fn restore(rules: &mut Rules, change: &RestoreInput) -> Restored {
    rules.restore(&Run::of([change]))
}

/// What comes of it with little patience.
fn impatiently<T>(rules: &mut Rules, attempt: impl FnOnce(&mut Rules) -> T) -> T {
    rules.patience = SHORT;
    let outcome = attempt(rules);
    rules.patience = LONG;
    outcome
}

#[test]
fn a_tool_that_hangs_is_not_waited_for_and_its_rules_are_neither_lost_nor_doubled() {
    let fake = Fake::new("rules-hang");
    let mut rules = fake.found();
    assert_eq!(read(&mut rules), 0);
    assert!(matches!(
        restore(&mut rules, &change(1)),
        Restored::Done(Ok(()))
    ));
    fake.hang(true);
    // What was changed is known without reading it.
    let Saved::Believed(believed, error) = impatiently(&mut rules, Rules::save) else {
        panic!("it hangs");
    };
    assert_eq!(believed.tables[0].chains[0].rules.len(), 1);
    assert_eq!(error.kind, KernelErrorKind::TimedOut);
    assert!(error.to_string().contains("iptables-restore"), "{error}");
    // It was waited for once, and is not waited for again: it would be until it is killed.
    rules.patience = Duration::from_secs(3600);
    let Saved::Believed(_, error) = rules.save() else {
        panic!("it still hangs");
    };
    assert!(error.to_string().contains("has not ended"), "{error}");
    rules.patience = LONG;
    // Nothing is changed on the strength of what is only believed.
    assert!(matches!(
        restore(&mut rules, &change(2)),
        Restored::Waits(_)
    ));
    fake.hang(false);
    assert_eq!(read(&mut rules), 1);
    assert_eq!(fake.held(), 1);

    fake.hang(true);
    let waits = impatiently(&mut rules, |rules| restore(rules, &change(2)));
    assert!(matches!(waits, Restored::Waits(_)));
    assert!(matches!(
        restore(&mut rules, &change(2)),
        Restored::Waits(_)
    ));
    assert!(matches!(rules.save(), Saved::Believed(..)));
    fake.hang(false);
    // It came through in the end, once.
    assert_eq!(read(&mut rules), 2);
    assert_eq!(fake.held(), 2);
    assert!(matches!(
        restore(&mut rules, &change(3)),
        Restored::Done(Ok(()))
    ));
    assert_eq!(read(&mut rules), 3);
}

#[test]
fn a_tool_that_hangs_from_the_start_leaves_nothing_known() {
    let fake = Fake::new("rules-start");
    let mut rules = fake.found();
    fake.hang(true);
    let saved = impatiently(&mut rules, Rules::save);
    assert!(matches!(saved, Saved::Unknown(_)));
    // A change may be tried only after that was read.
    assert!(matches!(
        restore(&mut rules, &change(1)),
        Restored::Waits(_)
    ));
    fake.hang(false);
    assert_eq!(read(&mut rules), 0);
    assert!(matches!(
        restore(&mut rules, &change(1)),
        Restored::Done(Ok(()))
    ));
}

#[test]
fn without_a_thread_it_works_all_the_same() {
    let fake = Fake::new("rules-alone");
    let mut rules = fake.found();
    rules.thread = None;
    assert!(matches!(
        restore(&mut rules, &change(1)),
        Restored::Done(Ok(()))
    ));
    assert_eq!(read(&mut rules), 1);
}

#[test]
fn tools_that_hang_as_they_are_looked_for_are_taken_once_they_answer() {
    let fake = Fake::new("rules-found");
    let mut rules = fake.not_found_in_time();
    assert!(matches!(rules.save(), Saved::Unknown(_)));
    assert!(matches!(
        restore(&mut rules, &change(1)),
        Restored::Waits(_)
    ));
    assert!(!rules.answered());
    fake.hang(false);
    let deadline = Instant::now() + LONG;
    while !rules.answered() {
        assert!(Instant::now() < deadline, "no answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    // They have been read already.
    rules.patience = Duration::ZERO;
    assert!(matches!(rules.save(), Saved::Read(_)));
    assert!(rules.tools().is_some());
    assert!(!rules.answered(), "nothing was waited for");
    rules.patience = LONG;
    assert!(matches!(
        restore(&mut rules, &change(1)),
        Restored::Done(Ok(()))
    ));
}

/// A command has nothing to do meanwhile, and looking for the tools takes long where there are many rules.
#[test]
fn tools_that_are_slow_as_they_are_looked_for_are_waited_for_with_more_patience() {
    let fake = Fake::new("rules-patient");
    let mut rules = fake.not_found_in_time();
    rules.set_patience(LONG);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SHORT);
            fake.hang(false);
        });
        let saved = rules.save();
        assert!(matches!(saved, Saved::Read(_)), "{saved:?}");
    });
    assert!(rules.tools().is_some());
}

#[test]
fn tools_that_are_missing_are_an_error_at_once() {
    let finder = ToolFinder::new().directories(["/nowhere"]);
    let mut rules = Rules::find(move || finder.find(Family::V4).map(Found::from)).unwrap();
    let found = rules.wait_until_found(Instant::now() + LONG);
    assert!(
        matches!(found, Err(Error::ToolsNotFound { .. })),
        "{found:?}"
    );
}

/// All Services of a large cluster at once: the tool takes longer than for one, and does not hang.
#[test]
fn a_large_change_is_given_more_time() {
    // Of these a single one is given six seconds more.
    const MANY: u16 = 60_000;
    let fake = Fake::new("large");
    let mut rules = fake.found();
    assert_eq!(read(&mut rules), 0);
    let mut large = RestoreInput::new();
    for port in 0..MANY {
        large.append(&change(port));
    }
    let restored_late = |rules: &mut Rules, change| {
        fake.hang(true);
        std::thread::scope(|scope| {
            // Longer than one change is waited for.
            scope.spawn(|| {
                std::thread::sleep(SHORT * 3);
                fake.hang(false);
            });
            impatiently(rules, |rules| restore(rules, change))
        })
    };
    let done = restored_late(&mut rules, &large);
    assert!(matches!(done, Restored::Done(Ok(()))), "{done:?}");
    assert_eq!(fake.held(), usize::from(MANY));
    // One more, for which the tool reads and writes all of them, and a look at them.
    assert_eq!(read(&mut rules), usize::from(MANY));
    let done = restored_late(&mut rules, &change(MANY));
    assert!(matches!(done, Restored::Done(Ok(()))), "{done:?}");
    assert_eq!(fake.held(), usize::from(MANY) + 1);
}
