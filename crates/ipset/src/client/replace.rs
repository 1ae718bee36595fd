//! The contents of a set, replaced atomically.

use std::sync::atomic::{AtomicU32, Ordering};

use netlink_batch::AsyncTransport;

use crate::client::sets::destroyed;
use crate::client::{AsyncClient, Client};
use crate::message::{Mode, Request};
use crate::{Entry, Error, ErrorKind, Operation, SetName, SetSpec};

/// How many temporary names are tried.
const NAMES: u32 = 16;

/// Part of the temporary name, so that two clients of one process do not meet.
static NEXT: AtomicU32 = AtomicU32::new(0);

netlink_batch::methods! { Client, AsyncClient;
    /// Replaces the contents of the set `spec` with exactly `entries`, atomically for packets. Options
    /// such as `maxelem` may change, type and family may not ([`SetSpec::swappable`]). A missing set is
    /// created.
    ///
    /// A second set is filled under a temporary name, swapped with the one in use, and destroyed.
    /// Both exist at the same time and need their memory. A hash is made large enough for the entries, so
    /// that it need not grow ([`SetSpec::with_room_for`]). Waits, as [`RetryPolicy`](crate::client::RetryPolicy)
    /// says, while somebody lists either.
    ///
    /// # Errors
    /// As [`create`](Self::create), [`add`](Self::add) and [`swap`](Self::swap), naming the set
    /// itself: then it is as it was and the temporary one is gone. [`Error::Leftover`] where the
    /// set is replaced, but its old contents could not be destroyed.
    pub async fn replace(&mut self, spec: &SetSpec, entries: &[Entry]) -> Result<(), Error> {
        if let Some(left) = self.temporary {
            self.destroy_patiently(left).await?;
        }
        let temporary = self.create_temporary(spec, entries.len()).await?;
        let placed = match self.add(temporary, entries, Mode::Strict).await {
            Ok(()) => self.put_in_place(temporary, spec.name).await,
            Err(error) => Err(error),
        };
        match placed {
            Ok(Placed::Renamed) => {
                self.temporary = None;
                Ok(())
            }
            Ok(Placed::Swapped) => {
                let destroyed = self.destroy_patiently(temporary).await;
                destroyed.map_err(|error| Error::Leftover {
                    set: spec.name,
                    leftover: temporary,
                    error: Box::new(error),
                })
            }
            Err(error) => {
                // The first error is the one to report; the name of a temporary set that stays shows
                // where it came from.
                let _ = self.destroy_patiently(temporary).await;
                Err(named(error, temporary, spec.name))
            }
        }
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    async fn create_temporary(&mut self, spec: &SetSpec, entries: usize) -> Result<SetName, Error> {
        let mut temporary = spec.clone();
        temporary.options.hashsize = hashsize(spec, entries);
        let mut attempts = 0;
        loop {
            attempts += 1;
            temporary.name = temporary_name(&spec.name)?;
            self.temporary = Some(temporary.name);
            let created = self.create(&temporary, Mode::Strict).await;
            if created.is_err() {
                self.temporary = None;
            }
            match created {
                Ok(()) => return Ok(temporary.name),
                Err(error) if error.kind() == Some(ErrorKind::SetExists) && attempts < NAMES => {}
                Err(error) => return Err(named(error, temporary.name, spec.name)),
            }
        }
    }

    async fn put_in_place(&mut self, temporary: SetName, name: SetName) -> Result<Placed, Error> {
        match self.swap(temporary, name).await {
            Err(error) if error.kind() == Some(ErrorKind::NoSecondSet) => {}
            result => return result.map(|()| Placed::Swapped),
        }
        match self.rename(temporary, name).await {
            // Another program created it in between.
            Err(error) if error.kind() == Some(ErrorKind::NameTaken) => {
                self.swap(temporary, name).await.map(|()| Placed::Swapped)
            }
            result => result.map(|()| Placed::Renamed),
        }
    }

    /// Nothing but a listing can refer to a temporary set.
    async fn destroy_patiently(&mut self, set: SetName) -> Result<(), Error> {
        let mode = Mode::Idempotent;
        let request = Request::Destroy {
            set: Some(set),
            mode,
        };
        let result = destroyed(self.send_patiently(&request).await, mode);
        // Where it stays, the error names it.
        self.temporary = None;
        result
    }
}

/// Buckets for this many entries, but not for more than the set may have.
fn hashsize(spec: &SetSpec, entries: usize) -> Option<u32> {
    let most = spec.options.maxelem.unwrap_or(SetSpec::DEFAULT_MAXELEM);
    let entries = entries.min(usize::try_from(most).unwrap_or(usize::MAX));
    spec.clone().with_room_for(entries).options.hashsize
}

/// How the new set came to its name.
enum Placed {
    Swapped,
    Renamed,
}

/// `tmp`, process, counter, and as much of the name as fits.
fn temporary_name(name: &SetName) -> Result<SetName, Error> {
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    SetName::truncated(&format!("tmp{:x}.{count:x}-{name}", std::process::id()))
}

/// The error with the name of the set in place of the temporary one.
fn named(mut error: Error, temporary: SetName, name: SetName) -> Error {
    let rename = |set: &mut SetName| {
        if *set == temporary {
            *set = name;
        }
    };
    match &mut error {
        Error::Kernel { operation, .. }
        | Error::Netlink { operation, .. }
        | Error::Decode { operation, .. } => match &mut **operation {
            Operation::Create(set) | Operation::Add { set, .. } => rename(set),
            _ => {}
        },
        Error::InvalidSpec { set, .. } | Error::OldRevision { set, .. } => rename(set),
        _ => {}
    }
    error
}
