//! The tools themselves: `iptables-save` and `iptables-restore`, found, run, and understood when they fail.

mod find;
mod incomplete;
mod lock;
mod outcome;
mod process;
mod rejection;
mod saved;
mod version;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use find::{BackendRules, ToolFinder};
pub use incomplete::{IncompleteReason, IncompleteTable};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use outcome::read as read_message;

pub use rejection::{RejectReason, Rejection};
pub use saved::SavedText;
pub use version::{Backend, Features, Version};

use crate::Family;
use crate::error::Error;
use crate::name::TableName;
use crate::restore::RestoreInput;
use crate::ruleset::{Ruleset, Table};
use crate::text;
use lock::XtablesLock;
use process::{Call, Limits};

/// The tools of one address family and one back end, found by [`ToolFinder`].
///
/// Calls block until the tool has ended, at most [`Tools::time_limit`]. A tool that takes longer, or prints more than
/// [`Tools::output_limit`], is killed with its process group. No thread is started.
///
/// ```no_run
/// use iptables_restore::{Family, InsertAt, RestoreInput, Rule, SaveOptions, TableName, ToolFinder};
///
/// let tools = ToolFinder::new().find(Family::V4)?;
/// let found = tools.save(&SaveOptions::default())?;
///
/// let mut change = RestoreInput::new();
/// let nat = change.table(TableName::Nat);
/// nat.declare_chain("WEB")?.append("WEB", Rule::new().comment("nothing yet").jump("RETURN"))?;
/// nat.ensure_rule(&found, "PREROUTING", Rule::new().jump("WEB"), InsertAt::Start)?;
/// tools.restore(&change)?;
/// # Ok::<(), iptables_restore::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tools {
    family: Family,
    backend: Backend,
    version: Version,
    restore: PathBuf,
    save: PathBuf,
    lock_wait: Duration,
    time_limit: Duration,
    output_limit: usize,
    lock_file: Option<PathBuf>,
}

/// What [`Tools::save`] asks for. By default all tables, without counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveOptions {
    /// `-t`: this table only.
    pub table: Option<TableName>,
    /// `-c`: what each rule has counted.
    pub counters: bool,
    /// Takes a table in which nft has base chains that the tools do not show; see
    /// [`IncompleteReason::HiddenBaseChains`] for when that is safe.
    pub hidden_base_chains: bool,
}

impl SaveOptions {
    /// All tables, without counters.
    pub fn new() -> Self {
        Self::default()
    }

    /// This table only.
    #[must_use]
    pub fn table(mut self, table: TableName) -> Self {
        self.table = Some(table);
        self
    }

    /// With what each rule has counted.
    #[must_use]
    pub fn counters(mut self) -> Self {
        self.counters = true;
        self
    }

    /// Also tables in which nft has base chains that the tools do not show.
    #[must_use]
    pub fn hidden_base_chains(mut self) -> Self {
        self.hidden_base_chains = true;
        self
    }
}

/// How [`Tools::restore_with`] works. By default it commits, and counters start at zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// `--test`: parses and builds everything and commits nothing. Finds what is wrong in the text; what only the kernel
    /// refuses it does not find, and the nft back end not even a jump to a chain that is missing.
    pub test: bool,
    /// `--counters`: sets the counters of the chains and rules that the text mentions, instead of starting at zero.
    pub counters: bool,
}

impl RestoreOptions {
    /// Commits; counters start at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits nothing.
    #[must_use]
    pub fn test(mut self) -> Self {
        self.test = true;
        self
    }

    /// Sets the counters that the text mentions.
    #[must_use]
    pub fn counters(mut self) -> Self {
        self.counters = true;
        self
    }
}

impl Tools {
    pub(super) fn new(
        family: Family,
        backend: Backend,
        version: Version,
        restore: PathBuf,
        save: PathBuf,
    ) -> Self {
        Self {
            family,
            backend,
            version,
            restore,
            save,
            lock_wait: Duration::from_secs(5),
            time_limit: Duration::from_secs(10),
            output_limit: 64 << 20,
            lock_file: None,
        }
    }

    /// How long to wait for the xtables lock, in whole seconds, at least one; 5 s unless set. The wait is part of the
    /// time limit and at least a second shorter, so that [`Error::LockHeld`] is what a held lock ends in. Only the legacy
    /// back end has a lock.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// How long a call may take, waiting for the lock included; 10 s unless set. A tool that runs longer is killed.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How many bytes a tool may print to its standard output; 64 MiB unless set, which is some 500,000 rules. A tool
    /// that prints more is killed. Its standard error may have 1 MiB.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// The lock file; otherwise the environment's `XTABLES_LOCKFILE`, or `/run/xtables.lock`.
    #[must_use]
    pub fn lock_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.lock_file = Some(path.into());
        self
    }

    /// The family whose tables these tools read and change.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Where in the kernel they keep the rules.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Their version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What this version can do.
    pub fn features(&self) -> Features {
        self.version.features(self.backend)
    }

    /// Path of `iptables-restore` or its namesake.
    pub fn restore_path(&self) -> &Path {
        &self.restore
    }

    /// Path of `iptables-save` or its namesake.
    pub fn save_path(&self) -> &Path {
        &self.save
    }

    /// Reads the kernel's rules.
    ///
    /// Tables that nothing has used yet are missing from the answer, unless one is asked for by name. A rule of somebody
    /// else's that this crate does not understand is kept as its line ([`Rule::verbatim`](crate::Rule::verbatim)), names
    /// and comments that are not UTF-8 keep their bytes.
    ///
    /// # Errors
    /// [`Error::IncompleteTable`] if a table is there and was not printed whole: what is missing then must not be taken
    /// for what the kernel does not have. [`Error::NotPermitted`] without CAP_NET_ADMIN; [`Error::Failed`] if the tool
    /// fails, for one because the table does not exist; [`Error::Output`] if it prints what this crate cannot read;
    /// [`Error::OutputTooLong`]; [`Error::TimedOut`]; [`Error::Io`].
    pub fn save(&self, options: &SaveOptions) -> Result<Ruleset, Error> {
        self.save_text(options)?.parse()
    }

    fn save_text_within(&self, options: &SaveOptions, limit: Duration) -> Result<SavedText, Error> {
        let mut args: Vec<OsString> = Vec::new();
        if options.counters {
            args.push("-c".into());
        }
        if let Some(table) = &options.table {
            args.extend(["-t".into(), table.as_str().into()]);
        }
        let output = self.call(&self.save, args).run(self.limits(limit))?;
        if !output.status.success() {
            return Err(outcome::failure(&self.save, &output));
        }
        Ok(SavedText {
            program: self.save.clone(),
            output,
            options: options.clone(),
        })
    }

    /// Changes the kernel's rules: [`Tools::restore_with`] with the default options.
    ///
    /// # Errors
    /// As [`Tools::restore_with`].
    pub fn restore(&self, input: &RestoreInput) -> Result<(), Error> {
        self.restore_with(input, &RestoreOptions::default())
    }

    /// Changes the kernel's rules: the text of `input` through `iptables-restore --noflush`. Without edits nothing is
    /// run.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the line, its edit, and the tables that were committed before it. Where the legacy tool
    /// gives no reason, the table is read back and the reason inferred. [`Error::LockHeld`];
    /// [`Error::TimedOut`], after which any of the tables may have been committed; [`Error::NotPermitted`];
    /// [`Error::Failed`] for words of the tool that are not understood; [`Error::Io`].
    pub fn restore_with(
        &self,
        input: &RestoreInput,
        options: &RestoreOptions,
    ) -> Result<(), Error> {
        if input.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        match self.restore_text(&input.to_string(), options) {
            Err(Error::Rejected(mut rejection)) => {
                let left = self.time_limit.saturating_sub(started.elapsed());
                self.explain_within(&mut rejection, input, left);
                Err(Error::Rejected(rejection))
            }
            done => done,
        }
    }

    /// Fills in what [`Tools::restore_text`] could not say of a rejection: the edit, and where the legacy tool gave no
    /// reason, the reason, inferred from the table as it is now. `input` is what the text was made of.
    pub fn explain(&self, rejection: &mut Rejection, input: &RestoreInput) {
        self.explain_within(rejection, input, self.time_limit);
    }

    fn explain_within(&self, rejection: &mut Rejection, input: &RestoreInput, limit: Duration) {
        rejection.find_edit(input);
        let unexplained = rejection
            .table
            .clone()
            .filter(|_| rejection.is_unexplained());
        let Some(table) = unexplained else {
            return;
        };
        let found = self.save_text_within(&SaveOptions::new().table(table.clone()), limit);
        let found = found.and_then(|text| text.parse_all());
        if let Ok((found, None)) = found {
            let table = found
                .tables
                .into_iter()
                .find(|found| found.name == table)
                .unwrap_or(Table::builtin(table));
            rejection.infer(input, table);
        }
    }

    /// Changes the kernel's rules by a text made elsewhere, with `--noflush`.
    ///
    /// # Errors
    /// As [`Tools::restore_with`], but a rejection names no edit.
    pub fn restore_text(&self, text: &str, options: &RestoreOptions) -> Result<(), Error> {
        let started = Instant::now();
        let second = Duration::from_secs(1);
        let wait = self
            .lock_wait
            .min(self.time_limit.saturating_sub(second).max(second));
        let mut args: Vec<OsString> = vec!["--noflush".into()];
        if options.test {
            args.push("--test".into());
        }
        if options.counters {
            args.push("--counters".into());
        }
        let features = self.features();
        if features.restore_wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            args.extend(["-w".into(), seconds.max(1).to_string().into()]);
        }
        // Held until the tool has ended.
        let _lock = match features.caller_locks {
            true => Some(XtablesLock::acquire(&self.lock_path(), wait)?),
            false => None,
        };
        let left = self.time_limit.saturating_sub(started.elapsed());
        let text = text::to_bytes(text);
        let call = self.call(&self.restore, args).input(&text);
        let output = call.run(self.limits(left))?;
        if output.status.success() {
            return Ok(());
        }
        Err(outcome::restore_failure(
            &self.restore,
            &output,
            &text::from_bytes(&text),
            options.test,
        ))
    }

    /// [`Tools::restore_with`] with [`RestoreOptions::test`]: a dry run.
    ///
    /// # Errors
    /// As [`Tools::restore_with`]; nothing is ever committed.
    pub fn check(&self, input: &RestoreInput) -> Result<(), Error> {
        self.restore_with(input, &RestoreOptions::new().test())
    }

    fn call<'a>(&'a self, program: &'a Path, args: Vec<OsString>) -> Call<'a> {
        let call = Call::new(program, args);
        match &self.lock_file {
            Some(path) => call.env("XTABLES_LOCKFILE", path),
            None => call,
        }
    }

    fn limits(&self, time: Duration) -> Limits {
        Limits {
            time,
            stdout: self.output_limit,
        }
    }

    fn lock_path(&self) -> PathBuf {
        let from_environment = || std::env::var_os("XTABLES_LOCKFILE").map(PathBuf::from);
        self.lock_file
            .clone()
            .or_else(from_environment)
            .unwrap_or_else(|| PathBuf::from("/run/xtables.lock"))
    }
}
