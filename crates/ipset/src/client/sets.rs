//! Sets as a whole, without their entries.

use crate::client::{AsyncClient, Client};
use crate::message::{Mode, Reply, Request, TypeInfo};
use crate::{Error, ErrorKind, Family, Operation, SetName};

netlink_batch::methods! { Client, AsyncClient;
    /// Destroys a set.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`] unless [`Mode::Idempotent`]; [`ErrorKind::InUse`] while a rule or set
    /// refers to it or a program lists it.
    pub async fn destroy(&mut self, set: SetName, mode: Mode) -> Result<(), Error> {
        let request = Request::Destroy {
            set: Some(set),
            mode,
        };
        destroyed(self.send(&request).await, mode)
    }

    /// Destroys all sets of the network namespace, or none.
    ///
    /// # Errors
    /// [`ErrorKind::InUse`] if any is: then all stay.
    pub async fn destroy_all(&mut self) -> Result<(), Error> {
        self.send(&Request::Destroy {
            set: None,
            mode: Mode::Strict,
        })
        .await
    }

    /// Removes all entries of a set, even if it is in use.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`].
    pub async fn flush(&mut self, set: SetName) -> Result<(), Error> {
        self.send(&Request::Flush { set: Some(set) }).await
    }

    /// Removes all entries of all sets of the network namespace.
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::Netlink`].
    pub async fn flush_all(&mut self) -> Result<(), Error> {
        self.send(&Request::Flush { set: None }).await
    }

    /// Gives a set another name.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`], [`ErrorKind::NameTaken`], [`ErrorKind::Referenced`].
    pub async fn rename(&mut self, from: SetName, to: SetName) -> Result<(), Error> {
        self.send(&Request::Rename { from, to }).await
    }

    /// Exchanges two sets atomically: rules that refer to one of them refer to the other from then on.
    /// Retries by [`RetryPolicy`](crate::client::RetryPolicy) while a program lists one of them.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`] (the first), [`ErrorKind::NoSecondSet`], [`ErrorKind::TypeMismatch`] (see
    /// [`SetSpec::swappable`](crate::SetSpec::swappable)), [`ErrorKind::InUse`] when the listing does
    /// not end.
    pub async fn swap(&mut self, one: SetName, other: SetName) -> Result<(), Error> {
        self.send_patiently(&Request::Swap { one, other }).await
    }

    /// Type, family and revision of a set.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`].
    pub async fn header(&mut self, set: SetName) -> Result<TypeInfo, Error> {
        self.get(&Request::Header { set }, |reply| match reply {
            Reply::Header { info, .. } => Some(info),
            _ => None,
        })
        .await
    }

    /// The index by which rules refer to a set, and its family.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchSet`]; [`Error::ProtocolVersion`] for a kernel before protocol 7 (Linux
    /// 4.20).
    pub async fn index_of(&mut self, set: SetName) -> Result<(u16, Option<Family>), Error> {
        self.needs_protocol_7(Operation::Index(set))?;
        self.get(&Request::GetByName { set }, |reply| match reply {
            Reply::Index { family, index } => Some((index, family)),
            _ => None,
        })
        .await
    }

    /// The name of the set with an index.
    ///
    /// # Errors
    /// As [`index_of`](Self::index_of).
    pub async fn name_of(&mut self, index: u16) -> Result<SetName, Error> {
        self.needs_protocol_7(Operation::Name(index))?;
        self.get(&Request::GetByIndex { index }, |reply| match reply {
            Reply::Name { set } => Some(set),
            _ => None,
        })
        .await
    }
}

/// The result of destroying a set. Older kernels report that it is missing in either mode.
pub(super) fn destroyed(result: Result<(), Error>, mode: Mode) -> Result<(), Error> {
    match result {
        Err(error) if mode == Mode::Idempotent && error.kind() == Some(ErrorKind::NoSuchSet) => {
            Ok(())
        }
        result => result,
    }
}
