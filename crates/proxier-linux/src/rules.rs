//! The rules of one family, by tools that may hang.
//!
//! A tool that hangs is killed after its time limit of 10 s, and 1 ms more for each line that is restored. That is long for
//! virtual servers, sets and addresses, which need no tool: so the tools run in a thread of their own, are found there too,
//! and nothing else waits longer than [`PATIENCE`] for them, and those milliseconds.

mod known;
mod runner;

use std::time::{Duration, Instant};

use iptables_restore::{
    Error, IncompleteTable, Rejection, RestoreInput, Ruleset, TableName, Tools,
};
use proxier::{KernelError, KernelErrorKind, KernelPart, PORT_RANGES};

use self::known::Known;
use self::runner::{Runner, Worker};
use crate::error::failed;
use crate::restore::Run;
use crate::tools::Found;

/// How long a tool is waited for. Most take some milliseconds; whatever takes longer is not lost but taken at the next
/// attempt.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many rules that are there count like one line of a change: the legacy tool reads and writes the whole table for a
/// single line.
const RULES_LIKE_A_LINE: usize = 10;

/// How much longer a change may take than one of a few lines: all Services of a large cluster at once are many thousand
/// lines, which the tool parses and the kernel checks.
fn allowance(lines: usize) -> Duration {
    const OF_A_LINE: Duration = Duration::from_millis(1);
    OF_A_LINE * u32::try_from(lines).unwrap_or(u32::MAX)
}

/// The tools of a family, and the thread that they run in.
#[derive(Debug)]
pub(crate) struct Rules {
    worker: Worker,
    /// None where no thread can be had: then the tools run in the calling one.
    thread: Option<Runner>,
    /// What the kernel holds. Used while it cannot be read in time.
    known: Option<Known>,
    /// Whether the kernel may hold something else, since a tool was not waited for: then rules are read before any are
    /// changed, or one could be there twice.
    doubtful: bool,
    /// Whether the mangle table has rules of the proxy's.
    has_ranges: bool,
    patience: Duration,
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

/// Whether a tool that failed so may do what it is asked in a moment: it did not end in time, or another program holds the
/// lock that it needs.
pub(crate) const fn is_passing(error: &Error) -> bool {
    matches!(error, Error::TimedOut { .. } | Error::LockHeld { .. })
}

impl Rules {
    /// Starts the thread, in the network namespace of the calling one, and finds the tools in it. They are waited for until
    /// the deadline; tools that hang beyond it are tried again whenever rules are read.
    ///
    /// # Errors
    ///
    /// Why the tools cannot be used.
    pub(crate) fn find(
        find: impl Fn() -> Result<Found, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let worker = Worker::new(find);
        let mut rules = Self {
            thread: Runner::start(&worker),
            worker,
            known: None,
            doubtful: false,
            has_ranges: false,
            patience: PATIENCE,
        };
        match &mut rules.thread {
            Some(runner) => runner.begin_find(),
            None => rules.worker.find()?,
        }
        Ok(rules)
    }

    /// Waits until the tools are found, or the deadline.
    ///
    /// # Errors
    ///
    /// Why they cannot be used, if that is known by then and will not pass.
    pub(crate) fn wait_until_found(&mut self, deadline: Instant) -> Result<(), Error> {
        let Some(runner) = &mut self.thread else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match runner.found(left) {
            Some(Err(error)) if !is_passing(&error) => Err(error),
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => {
                self.doubtful = true;
                Ok(())
            }
        }
    }

    /// Waits so long for a tool, and gives it that time.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
        self.worker.set_limit(patience);
        if let Some(runner) = &mut self.thread {
            runner.wait_again();
        }
    }

    /// The tools. `None` while they hang as they are looked for.
    pub(crate) fn tools(&self) -> Option<&Tools> {
        self.worker.found().map(|found| &found.tools)
    }

    /// The table that the tools could not show whole when they were found.
    pub(crate) fn incomplete(&self) -> Option<&IncompleteTable> {
        self.worker.found()?.incomplete.as_deref()
    }

    /// Asks for the rules without waiting for them, so that the tools of both families run at once.
    pub(crate) fn begin_save(&mut self) {
        if let Some(runner) = &mut self.thread {
            runner.begin_save();
        }
    }

    /// Whether rules that could not be read in time can be read now. While they cannot, a tool that was killed is run again.
    pub(crate) fn answered(&mut self) -> bool {
        match &mut self.thread {
            Some(runner) if self.doubtful => runner.answered(),
            _ => false,
        }
    }

    /// Reads the rules.
    pub(crate) fn save(&mut self) -> Saved {
        let held = self.held();
        let answered = match &mut self.thread {
            Some(runner) => runner.saved(self.patience + allowance(held)),
            None => Some(self.worker.save()),
        };
        match answered.map(|text| text?.parse()) {
            Some(Err(error)) if is_passing(&error) => self.believed(failed(error)),
            Some(Err(error)) => Saved::Failed(error),
            Some(Ok(rules)) => {
                self.known = Some(Known::of(&rules));
                self.doubtful = false;
                let mangle = rules.table(&TableName::Mangle);
                let chain = mangle.and_then(|table| table.chain(PORT_RANGES));
                self.has_ranges = chain.is_some();
                Saved::Read(rules)
            }
            None => self.believed(self.busy("reading rules")),
        }
    }

    fn believed(&mut self, error: KernelError) -> Saved {
        self.doubtful = true;
        match self.known.as_ref().and_then(Known::rules) {
            Some(known) => Saved::Believed(known, error),
            None => Saved::Unknown(error),
        }
    }

    /// Changes the rules.
    pub(crate) fn restore(&mut self, run: &Run<'_>) -> Restored {
        if self.doubtful {
            return Restored::Waits(self.busy("changing rules, which have to be read first"));
        }
        let lines = run.lines() + self.held();
        let done = match &mut self.thread {
            Some(runner) => runner.restored(run, lines, self.patience + allowance(lines)),
            None => Some(self.worker.restore(&run.text(), lines)),
        };
        match done {
            Some(Ok(())) => {
                self.note(run.changes());
                Restored::Done(Ok(()))
            }
            Some(Err(Error::Rejected(rejection))) => {
                let input = run.input();
                self.note(&[&input.before_line(rejection.line)]);
                Restored::Done(Err(Error::Rejected(self.explained(rejection, input))))
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

    /// What the rules that are there are in lines of a change.
    fn held(&self) -> usize {
        self.known.as_ref().map_or(0, Known::about_lines) / RULES_LIKE_A_LINE
    }

    /// Whether the mangle table has rules of the proxy's, or had some when rules were last read.
    pub(crate) const fn has_ranges(&self) -> bool {
        self.has_ranges
    }

    /// Notes changes that were made.
    fn note(&mut self, changes: &[&RestoreInput]) {
        let mut tables = changes.iter().flat_map(|change| change.tables());
        self.has_ranges |= tables.any(|table| *table.name() == TableName::Mangle);
        let known = self.known.take();
        self.known = known.and_then(|known| known.note(changes));
    }

    /// A rejection with what the table as it is now tells of it, if that can be read in time.
    fn explained(&mut self, rejection: Box<Rejection>, input: RestoreInput) -> Box<Rejection> {
        match &mut self.thread {
            Some(runner) => runner.explained(rejection, input, self.patience),
            None => self.worker.explain(rejection, &input),
        }
    }

    fn busy(&self, what: &str) -> KernelError {
        let path = self.tools().map_or_else(
            || "iptables".to_owned(),
            |tools| tools.restore_path().display().to_string(),
        );
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests;
