//! Sets as a whole, without their entries.

use netlink_batch::Transport;

use crate::client::Client;
use crate::message::{Mode, Reply, Request, TypeInfo};
use crate::{Error, ErrorKind, Family, Operation, SetName};

impl<T: Transport> Client<T> {
    /// Destroys a set.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`] unless [`Mode::Idempotent`]; [`ErrorKind::InUse`] while a rule or set
    /// refers to it or a program lists it.
    pub fn destroy(&mut self, set: SetName, mode: Mode) -> Result<(), Error> {
        match self.send(&Request::Destroy {
            set: Some(set),
            mode,
        }) {
            // Older kernels report it in either mode.
            Err(error)
                if mode == Mode::Idempotent && error.kind() == Some(ErrorKind::NoSuchSet) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Destroys all sets of the network namespace, or none.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`] if any is: then all stay.
    pub fn destroy_all(&mut self) -> Result<(), Error> {
        self.send(&Request::Destroy {
            set: None,
            mode: Mode::Strict,
        })
    }

    /// Removes all entries of a set, even if it is in use.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`].
    pub fn flush(&mut self, set: SetName) -> Result<(), Error> {
        self.send(&Request::Flush { set: Some(set) })
    }

    /// Removes all entries of all sets of the network namespace.
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::Netlink`].
    pub fn flush_all(&mut self) -> Result<(), Error> {
        self.send(&Request::Flush { set: None })
    }

    /// Gives a set another name.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`], [`ErrorKind::NameTaken`], [`ErrorKind::Referenced`].
    pub fn rename(&mut self, from: SetName, to: SetName) -> Result<(), Error> {
        self.send(&Request::Rename { from, to })
    }

    /// Exchanges two sets atomically: rules that refer to one of them refer to the other from then on.
    /// Retries by [`RetryPolicy`](crate::client::RetryPolicy) while a program lists one of them.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`] (the first), [`ErrorKind::NoSecondSet`], [`ErrorKind::TypeMismatch`] (see
    /// [`SetSpec::swappable`](crate::SetSpec::swappable)), [`ErrorKind::InUse`] when the listing does
    /// not end.
    pub fn swap(&mut self, one: SetName, other: SetName) -> Result<(), Error> {
        let retry_policy = self.retry_policy;
        retry_policy.retry(|| self.send(&Request::Swap { one, other }))
    }

    /// Type, family and revision of a set.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`].
    pub fn header(&mut self, set: SetName) -> Result<TypeInfo, Error> {
        self.get(&Request::Header { set }, |reply| match reply {
            Reply::Header { info, .. } => Some(info),
            _ => None,
        })
    }

    /// The index by which rules refer to a set, and its family.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`]; [`Error::ProtocolVersion`] for a kernel before protocol 7 (Linux
    /// 4.20).
    pub fn index_of(&mut self, set: SetName) -> Result<(u16, Option<Family>), Error> {
        self.needs_protocol_7(Operation::Index(set))?;
        self.get(&Request::GetByName { set }, |reply| match reply {
            Reply::Index { family, index } => Some((index, family)),
            _ => None,
        })
    }

    /// The name of the set with an index.
    ///
    /// # Errors
    /// As [`index_of`](Self::index_of).
    pub fn name_of(&mut self, index: u16) -> Result<SetName, Error> {
        self.needs_protocol_7(Operation::Name(index))?;
        self.get(&Request::GetByIndex { index }, |reply| match reply {
            Reply::Name { set } => Some(set),
            _ => None,
        })
    }
}
