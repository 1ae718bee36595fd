//! Reading sets.

use std::ops::ControlFlow;

use netlink_batch::{Dumped, Transport};

use super::{Client, Failure, header_of};
use crate::message::{Detail, Payload, Reply, Request, SetInfo, SetPart};
use crate::{DecodeError, Entry, Error, Family, Operation, Set, SetName, SetType};

/// What comes while sets are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A set; its entries follow.
    Set(Box<SetInfo>),
    /// An entry of the set before.
    Entry(Entry),
    /// What came so far is incomplete: forget it, all comes again.
    StartOver,
}

/// A set with what the kernel says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The set and its entries, in the kernel's order: that of a hash means nothing.
    pub set: Set,
    /// The rest: its revision, index and size. Its `spec` is that of the set.
    pub info: SetInfo,
}

impl<T: Transport> Client<T> {
    /// The names of all sets.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Netlink`], and [`Error::Decode`] with [`DecodeError::Name`] for a name that is no plain
    /// text.
    pub fn names(&mut self) -> Result<Vec<SetName>, Error> {
        let mut names = Vec::new();
        self.parts(None, Detail::Name, |part| {
            match part {
                Some(part) => names.push(part.set),
                None => names.clear(),
            }
            Ok(ControlFlow::<()>::Continue(()))
        })?;
        Ok(names)
    }

    /// All sets, without their entries.
    ///
    /// # Errors
    /// As [`names`](Self::names).
    pub fn headers(&mut self) -> Result<Vec<SetInfo>, Error> {
        self.infos(None)
    }

    /// One set, without its entries.
    ///
    /// # Errors
    /// As [`names`](Self::names); [`Refusal::NoSuchSet`](crate::Refusal::NoSuchSet).
    pub fn info(&mut self, set: SetName) -> Result<SetInfo, Error> {
        let operation = Operation::List(Some(set));
        let missing = DecodeError::Missing {
            attribute: "IPSET_ATTR_DATA",
        };
        let none = || Error::Decode {
            operation: Box::new(operation),
            error: missing,
        };
        self.infos(Some(set))?.pop().ok_or_else(none)
    }

    fn infos(&mut self, set: Option<SetName>) -> Result<Vec<SetInfo>, Error> {
        let mut infos = Vec::new();
        self.parts(set, Detail::Header, |part| {
            match part {
                Some(part) => infos.extend(part.info.map(|info| *info)),
                None => infos.clear(),
            }
            Ok(ControlFlow::<()>::Continue(()))
        })?;
        Ok(infos)
    }

    /// One set with its entries.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each); [`Refusal::NoSuchSet`](crate::Refusal::NoSuchSet).
    pub fn list(&mut self, set: SetName) -> Result<Listed, Error> {
        let missing = DecodeError::Missing {
            attribute: "IPSET_ATTR_DATA",
        };
        let none = || Error::Decode {
            operation: Box::new(Operation::List(Some(set))),
            error: missing,
        };
        self.collect(Some(set))?.pop().ok_or_else(none)
    }

    /// All sets with their entries; those of type `list:set` come last.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each).
    pub fn list_all(&mut self) -> Result<Vec<Listed>, Error> {
        self.collect(None)
    }

    fn collect(&mut self, set: Option<SetName>) -> Result<Vec<Listed>, Error> {
        let mut all: Vec<Listed> = Vec::new();
        self.for_each(set, |item| {
            match item {
                Item::Set(info) => all.push(Listed {
                    set: Set::new(info.spec.clone()),
                    info: *info,
                }),
                Item::Entry(entry) => {
                    if let Some(last) = all.last_mut() {
                        last.set.entries.push(entry);
                    }
                }
                Item::StartOver => all.clear(),
            }
            ControlFlow::<()>::Continue(())
        })?;
        Ok(all)
    }

    /// Reads a set, or all, and hands over each entry as it comes, in memory that does not grow with their number. Returns
    /// what the visitor broke off with.
    ///
    /// While it is read, a set can be neither destroyed, renamed nor swapped, by anybody: the visitor should be quick.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Netlink`], and [`Error::Decode`] for what cannot be read:
    /// [`DecodeError::UnknownSetType`] for entries of a type that this crate does not know (the sets before it have come by
    /// then).
    pub fn for_each<B>(
        &mut self,
        set: Option<SetName>,
        mut visit: impl FnMut(Item) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let mut current: Option<(SetName, SetType, Family)> = None;
        self.parts(set, Detail::Entries, |part| {
            let Some(part) = part else {
                current = None;
                return Ok(visit(Item::StartOver));
            };
            if let Some(info) = part.info {
                current = Some((part.set, info.spec.set_type, info.spec.family));
                if let ControlFlow::Break(value) = visit(Item::Set(info)) {
                    return Ok(ControlFlow::Break(value));
                }
            }
            if part.entries.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            // Messages after the first about a set only name it.
            let known = current.filter(|(set, ..)| *set == part.set);
            let (_, set_type, family) = known.ok_or(DecodeError::Missing {
                attribute: "IPSET_ATTR_TYPENAME",
            })?;
            for entry in part.entries.decode(set_type, family) {
                if let ControlFlow::Break(value) = visit(Item::Entry(entry?)) {
                    return Ok(ControlFlow::Break(value));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Hands over each part of a dump; `None` for: start over.
    fn parts<B>(
        &mut self,
        set: Option<SetName>,
        detail: Detail,
        mut visit: impl FnMut(Option<SetPart<'_>>) -> Result<ControlFlow<B>, DecodeError>,
    ) -> Result<Option<B>, Error> {
        let request = Request::List { set, detail };
        let payload = Payload {
            protocol: self.protocol,
            request: &request,
        };
        let read = |item: Dumped<'_>, visit: &mut dyn FnMut(Option<SetPart<'_>>) -> _| match item {
            Dumped::StartOver => visit(None),
            Dumped::Message(message) => {
                match Reply::parse(message.message_type, message.payload)? {
                    Reply::Set(part) => visit(Some(part)),
                    _ => Err(DecodeError::MessageType {
                        message_type: message.message_type,
                    }),
                }
            }
        };
        let result = self.connection.dump(header_of(&request), &payload, |item| {
            match read(item, &mut visit) {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                Ok(ControlFlow::Break(value)) => ControlFlow::Break(Ok(value)),
                Err(error) => ControlFlow::Break(Err(error)),
            }
        });
        match result
            .map_err(Failure::from)
            .and_then(|stopped| stopped.transpose().map_err(Failure::from))
        {
            Ok(stopped) => Ok(stopped),
            Err(Failure::Netlink(error)) => Err(self.error(&request, error)),
            Err(Failure::Decode(error)) => Err(Error::Decode {
                operation: Box::new(Operation::List(set)),
                error,
            }),
        }
    }
}
