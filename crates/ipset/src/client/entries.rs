//! Entries: adding, deleting, testing.

use std::borrow::Cow;

use netlink_batch::AsyncTransport;

use crate::client::{AsyncClient, Client};
use crate::message::{EntryBatch, Mode, Request};
use crate::{Entry, Error, ErrorKind, Operation, SetName};

netlink_batch::methods! { Client, AsyncClient;
    /// Adds entries, in order, as many to a message as fit: about 800 to a system call.
    ///
    /// With [`Mode::Idempotent`] an entry that exists is updated with the options given.
    ///
    /// # Several programs that add to one hash
    /// A hash that fills up grows, and Linux (seen on 6.18, with `ipset restore` too) loses or doubles
    /// entries while another program adds to it at the same time. No client can prevent that, nor make
    /// an existing set larger. Two ways are safe: create the set large enough
    /// ([`SetSpec::with_room_for`](crate::SetSpec::with_room_for)), or let one program
    /// [`replace`](Self::replace) all of its contents.
    ///
    /// # Errors
    /// [`Error::InvalidComment`] before anything is sent.
    ///
    /// The first entry that the kernel refuses is in the error ([`Operation::Add`], with its
    /// index): those before it are added, those behind it are not. [`ErrorKind::EntryExists`] (unless
    /// [`Mode::Idempotent`]), [`ErrorKind::Full`], [`ErrorKind::NoSuchSet`], and whatever
    /// [`SetSpec::check`](crate::SetSpec::check) would have found.
    pub async fn add(&mut self, set: SetName, entries: &[Entry], mode: Mode) -> Result<(), Error> {
        self.each_batch(set, entries, |entries| Request::Add { set, entries, mode })
            .await
    }

    /// Deletes entries, in order, as many to a message as fit.
    ///
    /// # Errors
    /// As [`add`](Self::add), with [`Operation::Delete`]; [`ErrorKind::EntryMissing`] unless
    /// [`Mode::Idempotent`].
    pub async fn delete(
        &mut self,
        set: SetName,
        entries: &[Entry],
        mode: Mode,
    ) -> Result<(), Error> {
        self.each_batch(set, entries, |entries| Request::Del { set, entries, mode })
            .await
    }

    /// Tests whether an entry matches. In a set of networks an address inside a network matches, unless
    /// that network is `nomatch`.
    ///
    /// # Errors
    /// [`Error::Kernel`] for every answer but "not in the set".
    pub async fn test(&mut self, set: SetName, entry: &Entry) -> Result<bool, Error> {
        match self
            .send(&Request::Test {
                set,
                entry: Cow::Borrowed(entry),
            })
            .await
        {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == Some(ErrorKind::EntryMissing) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Sends one message after the other, so that entries behind a refused one are not tried.
    async fn each_batch<'e>(
        &mut self,
        set: SetName,
        entries: &'e [Entry],
        request: impl Fn(EntryBatch<'e>) -> Request<'e>,
    ) -> Result<(), Error> {
        if let Some(entry) = entries.iter().find(|entry| {
            let comment = entry.options().comment.as_ref();
            comment.is_some_and(|comment| !comment.is_valid())
        }) {
            return Err(Error::InvalidComment {
                set,
                entry: Box::new(entry.clone()),
            });
        }
        let mut rest = entries;
        while let Some((batch, after)) = EntryBatch::split(rest) {
            let before = entries.len() - rest.len();
            self.send(&request(batch))
                .await
                .map_err(|error| moved(error, before))?;
            rest = after;
        }
        Ok(())
    }
}

/// The error with the index of its entry counted from the first entry of all messages.
fn moved(mut error: Error, before: usize) -> Error {
    if let Error::Kernel { operation, .. } = &mut error {
        if let Operation::Add {
            entry: Some((place, _)),
            ..
        }
        | Operation::Delete {
            entry: Some((place, _)),
            ..
        } = &mut **operation
        {
            *place += before;
        }
    }
    error
}
