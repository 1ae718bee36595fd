//! Noticing that the configuration file changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, Flags, Options, Surroundings, ThisProcess};

/// How often the file is read.
///
/// At this size that costs less than following changes correctly: a ConfigMap's file changes when a link two
/// folders up is replaced, which inotify reports only to those who watch all of these folders.
const EVERY: Duration = Duration::from_secs(3);

/// A configuration file that is read again and again.
#[derive(Debug)]
pub struct ConfigWatch<S = ThisProcess> {
    flags: Flags,
    path: PathBuf,
    /// What it held last, good or not.
    seen: Vec<u8>,
    current: Options,
    /// The read error that was reported already.
    unreadable: Option<io::ErrorKind>,
    around: S,
    every: Duration,
}

impl ConfigWatch {
    /// Watches the file that `--config` names; `None` if it names none. `current` is what was read from it.
    #[must_use]
    pub fn new(flags: Flags, current: Options) -> Option<Self> {
        Self::within(flags, current, ThisProcess)
    }
}

impl<S: Surroundings> ConfigWatch<S> {
    /// The same, in other surroundings.
    #[must_use]
    pub fn within(flags: Flags, current: Options, around: S) -> Option<Self> {
        let path = flags.process.config.clone()?;
        Some(Self {
            flags,
            path,
            // Read again at the first look: it may have changed since `current` was read.
            seen: Vec::new(),
            current,
            unreadable: None,
            around,
            every: EVERY,
        })
    }

    /// Looks so often while it waits, and not every 3 s.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// The file watched.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file once. Returns the new options if they differ from those before.
    ///
    /// # Errors
    /// [`Error`], once for each broken content, with all that is wrong with it. The options that were, stay.
    pub fn look(&mut self) -> Result<Option<Options>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if self.unreadable == Some(error.kind()) => return Ok(None),
            Err(error) => {
                self.unreadable = Some(error.kind());
                return Err(Error::File {
                    path: self.path.clone(),
                    error,
                });
            }
        };
        self.unreadable = None;
        if bytes == self.seen {
            return Ok(None);
        }
        let read = Options::reread(self.flags.clone(), &self.path, &bytes, &self.around);
        self.seen = bytes;
        let options = read?;
        if options == self.current {
            return Ok(None);
        }
        self.current = options.clone();
        Ok(Some(options))
    }

    /// Waits for the next change, and gives the new options. A file that cannot be followed is logged, and waited out.
    pub async fn changed(&mut self) -> Options {
        loop {
            tokio::time::sleep(self.every).await;
            match self.look() {
                Ok(None) => {}
                Ok(Some(options)) => return options,
                Err(error) => {
                    for line in error.to_string().lines() {
                        tracing::error!("configuration not followed, the one before stays: {line}");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
