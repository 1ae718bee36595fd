//! Whole files for `ipset restore`.

use std::borrow::Cow;
use std::collections::HashMap;

use netlink_batch::AsyncTransport;

use crate::client::sets::destroyed;
use crate::client::{AsyncClient, Client};
use crate::message::{EntryBatch, Mode, Request};
use crate::restore::{Draft, at};
use crate::{Entry, Error, ErrorKind, Operation, RestoreCommand, RestoreFile, RestoreLine};

/// How many lines are taken together at most, so that the memory needed does not grow with the file.
const MOST_LINES: usize = 4096;

netlink_batch::methods! { Client, AsyncClient;
    /// Carries out a file for `ipset restore`, with [`Mode::Idempotent`] as `ipset -exist restore` does.
    ///
    /// The whole file is parsed first ([`RestoreFile::parse_with`]); the kernel is asked for the types of sets that
    /// the file changes and does not create. Then the lines are carried out in order, each as it would be alone;
    /// lines one after the other that add entries to one set, or delete them from it, go in one message, about 800
    /// at a time.
    ///
    /// ```no_run
    /// use ipset_netlink::Client;
    /// use ipset_netlink::message::Mode;
    ///
    /// let mut client = Client::open()?;
    /// client.restore("create -exist web hash:ip,port\nflush web\nadd web 10.0.0.1,tcp:80\n", Mode::Strict)?;
    /// # Ok::<(), ipset_netlink::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Line`] with the line at fault. If the text cannot be read, or names a set that neither the file
    /// creates nor the kernel has, nothing is done. (`ipset restore` reads line by line, so it has done most of what
    /// stands before.) If the kernel refuses a line, all lines before it stay done and none behind it is tried, as
    /// with `ipset restore`; so it is if a `test` finds no match ([`ErrorKind::EntryMissing`]). (Behind a `test` that
    /// does find one, ipset 7.17 passes over the rest of the file and reports success; here the rest is carried out.) `swap` is tried
    /// again while a set is listed ([`swap`](Self::swap)).
    pub async fn restore(&mut self, text: impl AsRef<[u8]>, mode: Mode) -> Result<(), Error> {
        let draft = Draft::read(text.as_ref());
        let mut types = HashMap::new();
        for set in draft.found_sets() {
            match self.header(set).await {
                Ok(info) => _ = types.insert(set, info.set_type),
                Err(error) if error.kind() == Some(ErrorKind::NoSuchSet) => {}
                Err(error) => return Err(error),
            }
        }
        let file = draft.resolve(|set| types.get(&set).copied())?;
        match mode {
            Mode::Strict => self.restore_file(&file).await,
            Mode::Idempotent => self.restore_file(&file.with_exist()).await,
        }
    }

    /// Carries out commands, as [`restore`](Self::restore) does those of a text.
    ///
    /// # Errors
    /// [`Error::Line`] with the number of the line at fault: those before it are done, none behind it is tried.
    pub async fn restore_file(&mut self, file: &RestoreFile) -> Result<(), Error> {
        let mut rest = &file.lines[..];
        while let Some(first) = rest.first() {
            let together = rest
                .iter()
                .take(MOST_LINES)
                .take_while(|line| joins(&first.command, &line.command))
                .count();
            let (now, after) = rest.split_at_checked(together.max(1)).unwrap_or((rest, &[]));
            self.restore_lines(&first.command, now).await?;
            rest = after;
        }
        Ok(())
    }
}

/// Whether the entries of two commands may go in one message.
fn joins(first: &RestoreCommand, next: &RestoreCommand) -> bool {
    type C = RestoreCommand;
    match (first, next) {
        (
            C::Add { set, mode, .. },
            C::Add {
                set: s, mode: m, ..
            },
        )
        | (
            C::Del { set, mode, .. },
            C::Del {
                set: s, mode: m, ..
            },
        ) => (set, mode) == (s, m),
        _ => false,
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Carries out lines of which the first is `command` and the others join it.
    async fn restore_lines(
        &mut self,
        command: &RestoreCommand,
        lines: &[RestoreLine],
    ) -> Result<(), Error> {
        let number = lines.first().map_or(0, |line| line.number);
        let done = match command {
            RestoreCommand::Add { .. } | RestoreCommand::Del { .. } => {
                return self.restore_entries(command, lines).await;
            }
            RestoreCommand::Create { spec, mode } => self.create(spec, *mode).await,
            RestoreCommand::Test { set, entry } => {
                let (set, entry) = (*set, Cow::Borrowed(entry));
                self.send(&Request::Test { set, entry }).await
            }
            RestoreCommand::Flush { set } => self.send(&Request::Flush { set: *set }).await,
            RestoreCommand::Destroy { set, mode } => {
                let (set, mode) = (*set, *mode);
                destroyed(self.send(&Request::Destroy { set, mode }).await, mode)
            }
            RestoreCommand::Rename { from, to } => self.rename(*from, *to).await,
            RestoreCommand::Swap { one, other } => self.swap(*one, *other).await,
        };
        done.map_err(|error| at(number, error))
    }

    async fn restore_entries(
        &mut self,
        command: &RestoreCommand,
        lines: &[RestoreLine],
    ) -> Result<(), Error> {
        let entries: Vec<Entry> = lines.iter().filter_map(entry_of).cloned().collect();
        let mut rest = &entries[..];
        while let Some((entries, after)) = EntryBatch::split(rest) {
            let first = lines.len() - rest.len();
            let request = match command {
                RestoreCommand::Add { set, mode, .. } => Request::Add {
                    set: *set,
                    entries,
                    mode: *mode,
                },
                RestoreCommand::Del { set, mode, .. } => Request::Del {
                    set: *set,
                    entries,
                    mode: *mode,
                },
                _ => return Ok(()),
            };
            if let Err(error) = self.send(&request).await {
                let line = lines.get(first + failed(&error)).or(lines.last());
                return Err(at(line.map_or(0, |line| line.number), error));
            }
            rest = after;
        }
        Ok(())
    }
}

fn entry_of(line: &RestoreLine) -> Option<&Entry> {
    match &line.command {
        RestoreCommand::Add { entry, .. } | RestoreCommand::Del { entry, .. } => Some(entry),
        _ => None,
    }
}

/// Which entry of a message failed; the first if the kernel names none: it refused the message as a whole.
fn failed(error: &Error) -> usize {
    let Error::Kernel { operation, .. } = error else {
        return 0;
    };
    match &**operation {
        Operation::Add { entry, .. } | Operation::Delete { entry, .. } => {
            entry.as_ref().map_or(0, |(place, _)| *place)
        }
        _ => 0,
    }
}
