//! The rules of one family, by tools that may hang.
//!
//! A tool that hangs is killed after its time limit of 10 s. That is long for virtual servers, sets and addresses, which need
//! no tool: so the tools run in a thread of their own, and nothing else waits longer than [`PATIENCE`] for it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use iptables_restore::{Error, RestoreInput, Ruleset, SaveOptions, Tools};
use proxier::{KernelError, KernelErrorKind, KernelPart};

use crate::error::failed;

/// How long a tool is waited for. Most take some milliseconds; whatever takes longer is not lost but taken at the next
/// attempt.
const PATIENCE: Duration = Duration::from_secs(2);

/// Base chains of nft are somebody else's; no edit of the proxy's can touch them
/// ([`IncompleteReason`](iptables_restore::IncompleteReason)).
fn save_options() -> SaveOptions {
    SaveOptions::new().hidden_base_chains()
}

/// What the thread is to do.
#[derive(Debug)]
enum Request {
    Save,
    Restore(Box<RestoreInput>),
}

/// What it did.
#[derive(Debug)]
enum Reply {
    Saved(Result<Ruleset, Error>),
    Restored(Result<(), Error>),
}

/// The tools of a family, and the thread that they run in.
#[derive(Debug)]
pub(crate) struct Rules {
    tools: Tools,
    /// None where no thread can be had: then the tools run in the calling one.
    thread: Option<Runner>,
    /// What the kernel holds: as last read, and as changed since. Used while it cannot be read in time.
    known: Option<Ruleset>,
    /// Whether the kernel may hold something else, since a tool was not waited for: then rules are read before any are
    /// changed, or one could be there twice.
    doubtful: bool,
    patience: Duration,
}

#[derive(Debug)]
struct Runner {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    /// What was asked for last, while it has not been answered.
    running: Option<Running>,
    /// Whether it was waited for in vain. It is not waited for again: one tool that hangs would delay every sync.
    overdue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Save,
    Restore,
}

/// What came of a change of rules.
#[derive(Debug)]
pub(crate) enum Restored {
    /// The tool has ended.
    Done(Result<(), Error>),
    /// It, or one before it, still runs.
    Waits(KernelError),
}

/// What came of reading rules.
#[derive(Debug)]
pub(crate) enum Saved {
    /// The rules.
    Read(Ruleset),
    /// They cannot be read.
    Failed(Error),
    /// The tool, or one before it, hangs: the rules as they are believed to be, and why they were not read.
    Believed(Ruleset, KernelError),
    /// The same, but nothing is known yet.
    Unknown(KernelError),
}

impl Rules {
    /// Starts the thread, in the network namespace of the calling one.
    pub(crate) fn new(tools: Tools) -> Self {
        Self::with_patience(tools, PATIENCE)
    }

    fn with_patience(tools: Tools, patience: Duration) -> Self {
        Self {
            thread: Runner::start(&tools),
            tools,
            known: None,
            doubtful: false,
            patience,
        }
    }

    pub(crate) const fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Asks for the rules without waiting for them, so that the tools of both families run at once.
    pub(crate) fn begin_save(&mut self) {
        if let Some(runner) = &mut self.thread {
            // One that runs already is taken: a slow tool would never come to an end else.
            if runner.running != Some(Running::Save) {
                let _ = runner.send(Request::Save, Duration::ZERO);
            }
        }
    }

    /// Reads the rules.
    pub(crate) fn save(&mut self) -> Saved {
        let answered = match &mut self.thread {
            Some(runner) => runner.saved(self.patience),
            None => Some(self.tools.save(&save_options())),
        };
        match answered {
            Some(Err(error @ Error::TimedOut { .. })) => self.believed(failed(error)),
            Some(Err(error)) => Saved::Failed(error),
            Some(Ok(rules)) => {
                self.known = Some(rules.clone());
                self.doubtful = false;
                Saved::Read(rules)
            }
            None => self.believed(self.busy("reading rules")),
        }
    }

    fn believed(&mut self, error: KernelError) -> Saved {
        self.doubtful = true;
        match &self.known {
            Some(known) => Saved::Believed(known.clone(), error),
            None => Saved::Unknown(error),
        }
    }

    /// Changes the rules.
    pub(crate) fn restore(&mut self, input: &RestoreInput) -> Restored {
        if self.doubtful {
            return Restored::Waits(self.busy("changing rules, which have to be read first"));
        }
        let done = match &mut self.thread {
            Some(runner) => runner.restored(input, self.patience),
            None => Some(self.tools.restore(input)),
        };
        match done {
            Some(Ok(())) => {
                self.note(input);
                Restored::Done(Ok(()))
            }
            Some(Err(error)) => {
                self.doubtful = matches!(error, Error::TimedOut { .. });
                Restored::Done(Err(error))
            }
            None => {
                self.doubtful = true;
                Restored::Waits(self.busy("changing rules"))
            }
        }
    }

    /// Notes a change that was made.
    fn note(&mut self, input: &RestoreInput) {
        let known = self.known.take();
        self.known = known.and_then(|mut rules| input.apply(&mut rules).is_ok().then_some(rules));
    }

    fn busy(&self, what: &str) -> KernelError {
        let path = self.tools.restore_path().display();
        KernelError::new(
            KernelPart::Rules,
            KernelErrorKind::TimedOut,
            format!(
                "{what}: {path}, or the tool that reads rules, has not ended after {:?}. It is killed after 10 s, and this is \
                 tried again; `ps -ef | grep tables` shows what runs",
                self.patience
            ),
        )
    }
}

impl Runner {
    fn start(tools: &Tools) -> Option<Self> {
        let tools = tools.clone();
        let (requests, received) = channel();
        let (sender, replies) = channel();
        let thread = thread::Builder::new().name("rules".to_owned());
        let started = thread.spawn(move || {
            for request in received {
                let reply = match request {
                    Request::Save => Reply::Saved(tools.save(&save_options())),
                    Request::Restore(input) => Reply::Restored(tools.restore(&input)),
                };
                if sender.send(reply).is_err() {
                    return;
                }
            }
        });
        started.ok()?;
        Some(Self {
            requests,
            replies,
            running: None,
            overdue: false,
        })
    }

    /// Sends a request once nothing runs any more. Whether it was sent.
    fn send(&mut self, request: Request, patience: Duration) -> bool {
        if self.running.is_some() && self.wait(patience).is_none() {
            return false;
        }
        let running = match request {
            Request::Save => Running::Save,
            Request::Restore(_) => Running::Restore,
        };
        let sent = self.requests.send(request).is_ok();
        if sent {
            self.running = Some(running);
        }
        sent
    }

    /// What runs, once it has ended.
    fn wait(&mut self, patience: Duration) -> Option<Reply> {
        let patience = if self.overdue {
            Duration::ZERO
        } else {
            patience
        };
        let reply = self.replies.recv_timeout(patience).ok();
        self.overdue = reply.is_none();
        if reply.is_some() {
            self.running = None;
        }
        reply
    }

    /// The rules. A save that runs already is waited for: since it began nothing was changed by this.
    fn saved(&mut self, patience: Duration) -> Option<Result<Ruleset, Error>> {
        let deadline = Instant::now() + patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        if self.running != Some(Running::Save) && !self.send(Request::Save, left()) {
            return None;
        }
        match self.wait(left())? {
            Reply::Saved(saved) => Some(saved),
            Reply::Restored(_) => None,
        }
    }

    fn restored(&mut self, input: &RestoreInput, patience: Duration) -> Option<Result<(), Error>> {
        let deadline = Instant::now() + patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        if !self.send(Request::Restore(Box::new(input.clone())), left()) {
            return None;
        }
        match self.wait(left())? {
            Reply::Restored(done) => Some(done),
            Reply::Saved(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use iptables_restore::{Family, Rule, TableName, ToolFinder};

    use super::*;

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
                ("iptables", "echo 'iptables v1.8.9 (legacy)'".to_owned()),
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
                let path = folder.join(name);
                fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            Self(folder)
        }

        fn rules(&self) -> Rules {
            let finder = ToolFinder::new().directories([&self.0]);
            let tools = finder.find(Family::V4).unwrap();
            Rules::with_patience(tools, Duration::from_millis(300))
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
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match rules.save() {
                Saved::Read(found) => return found.tables[0].chains[0].rules.len(),
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
        }
    }

    #[test]
    fn a_tool_that_hangs_is_not_waited_for_and_its_rules_are_neither_lost_nor_doubled() {
        let fake = Fake::new("rules-hang");
        let mut rules = fake.rules();
        assert_eq!(read(&mut rules), 0);
        assert!(matches!(rules.restore(&change(1)), Restored::Done(Ok(()))));
        fake.hang(true);
        // What was changed is known without reading it.
        let Saved::Believed(believed, error) = rules.save() else {
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
        rules.patience = Duration::from_millis(300);
        // Nothing is changed on the strength of what is only believed.
        assert!(matches!(rules.restore(&change(2)), Restored::Waits(_)));
        fake.hang(false);
        assert_eq!(read(&mut rules), 1);
        assert_eq!(fake.held(), 1);

        fake.hang(true);
        assert!(matches!(rules.restore(&change(2)), Restored::Waits(_)));
        assert!(matches!(rules.restore(&change(2)), Restored::Waits(_)));
        assert!(matches!(rules.save(), Saved::Believed(..)));
        fake.hang(false);
        // It came through in the end, once.
        assert_eq!(read(&mut rules), 2);
        assert_eq!(fake.held(), 2);
        assert!(matches!(rules.restore(&change(3)), Restored::Done(Ok(()))));
        assert_eq!(read(&mut rules), 3);
    }

    #[test]
    fn a_tool_that_hangs_from_the_start_leaves_nothing_known() {
        let fake = Fake::new("rules-start");
        let mut rules = fake.rules();
        fake.hang(true);
        assert!(matches!(rules.save(), Saved::Unknown(_)));
        // A change may be tried only after that was read.
        assert!(matches!(rules.restore(&change(1)), Restored::Waits(_)));
        fake.hang(false);
        assert_eq!(read(&mut rules), 0);
        assert!(matches!(rules.restore(&change(1)), Restored::Done(Ok(()))));
    }

    #[test]
    fn without_a_thread_it_works_all_the_same() {
        let fake = Fake::new("rules-alone");
        let mut rules = fake.rules();
        rules.thread = None;
        assert!(matches!(rules.restore(&change(1)), Restored::Done(Ok(()))));
        assert_eq!(read(&mut rules), 1);
    }
}
