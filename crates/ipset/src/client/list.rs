//! Reading sets.

use std::ops::ControlFlow;

use netlink_batch::{AsyncTransport, Dumped};
use netlink_wire::Problem;

use crate::client::{AsyncClient, Client, header_of};
use crate::message::{Detail, Payload, Reply, Request, SetInfo, SetPart};
use crate::{DecodeError, Entry, Error, Family, Operation, Set, SetName, SetType};

/// What comes while sets are read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A set; its entries follow.
    Set(Box<SetInfo>),
    /// An entry of the set before.
    Entry(Entry),
    /// Another program's entry that this crate cannot read: of a type that it does not know, or with a
    /// name that text cannot carry.
    UnreadableEntry(DecodeError),
    /// Another program's set whose name this crate cannot carry, once for each message about it.
    UnreadableSet(DecodeError),
    /// The sets changed while they were read. Forget everything so far; all of it comes again.
    StartOver,
}

/// A set with its entries, as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The set and its entries, in the kernel's order: that of a hash means nothing.
    pub set: Set,
    /// The rest: its revision, index and size. Its `spec` is that of the set.
    pub info: SetInfo,
    /// Entries that this crate cannot read: empty for all that it can write.
    pub unreadable: Vec<DecodeError>,
}

/// What a dump hands over.
enum Part<'a> {
    Set(SetPart<'a>),
    /// About a set whose name cannot be carried.
    Unnameable(DecodeError),
    StartOver,
}

impl<'a> Part<'a> {
    fn read(item: Dumped<'a>) -> Result<Self, DecodeError> {
        let Dumped::Message(message) = item else {
            return Ok(Self::StartOver);
        };
        match Reply::parse(message.message_type, message.payload) {
            Ok(Reply::Set(part)) => Ok(Self::Set(part)),
            Ok(_) => Err(DecodeError::MessageType {
                message_type: message.message_type,
            }),
            Err(error @ DecodeError::Name { .. }) => Ok(Self::Unnameable(error)),
            Err(error) => Err(error),
        }
    }
}

netlink_batch::methods! { Client, AsyncClient;
    /// The names of all sets, without those that [`SetName`] cannot hold: the kernel takes any bytes.
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::Netlink`], [`Error::Decode`].
    pub async fn names(&mut self) -> Result<Vec<SetName>, Error> {
        let mut names = Vec::new();
        self.parts(None, Detail::Name, |part| {
            match part {
                Part::Set(part) => names.push(part.set),
                Part::Unnameable(_) => {}
                Part::StartOver => names.clear(),
            }
            Ok(ControlFlow::<()>::Continue(()))
        })
        .await?;
        Ok(names)
    }

    /// All sets, without their entries, but those that [`names`](Self::names) leaves out.
    ///
    /// # Errors
    /// As [`names`](Self::names).
    pub async fn headers(&mut self) -> Result<Vec<SetInfo>, Error> {
        self.infos(None).await
    }

    /// One set, without its entries.
    ///
    /// # Errors
    /// As [`names`](Self::names); [`ErrorKind::NoSuchSet`](crate::ErrorKind::NoSuchSet).
    pub async fn info(&mut self, set: SetName) -> Result<SetInfo, Error> {
        self.infos(Some(set))
            .await?
            .pop()
            .ok_or_else(|| headless_set(set))
    }

    /// One set with its entries.
    ///
    /// # Errors
    /// As [`names`](Self::names); [`ErrorKind::NoSuchSet`](crate::ErrorKind::NoSuchSet).
    pub async fn list(&mut self, set: SetName) -> Result<Listed, Error> {
        self.collect(Some(set))
            .await?
            .pop()
            .ok_or_else(|| headless_set(set))
    }

    /// All sets with their entries, but those that [`names`](Self::names) leaves out. Those of type
    /// `list:set` come last.
    ///
    /// # Errors
    /// As [`names`](Self::names).
    pub async fn list_all(&mut self) -> Result<Vec<Listed>, Error> {
        self.collect(None).await
    }

    /// Reads a set, or all, and passes each entry to `visit` as it arrives, in memory that does not grow
    /// with their number. Returns the value that the visitor broke off with.
    ///
    /// While a set is read, no program can destroy, rename or swap it, so the visitor should be quick.
    ///
    /// # Errors
    /// As [`names`](Self::names). Sets and entries of other programs that this crate cannot read are
    /// not errors: they are passed on as [`Item::UnreadableEntry`] or [`Item::UnreadableSet`].
    pub async fn for_each<B>(
        &mut self,
        set: Option<SetName>,
        visit: impl FnMut(Item) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let mut visit = visit;
        let mut current: Option<(SetName, SetType, Option<Family>)> = None;
        self.parts(set, Detail::Entries, |part| {
            let part = match part {
                Part::Set(part) => part,
                Part::Unnameable(error) => return Ok(visit(Item::UnreadableSet(error))),
                Part::StartOver => {
                    current = None;
                    return Ok(visit(Item::StartOver));
                }
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
            let (_, set_type, family) = known.ok_or_else(headless)?;
            for entry in part.entries.decode(set_type, family) {
                let item = match entry {
                    Ok(entry) => Item::Entry(entry),
                    Err(error) if cut_off(&error) => return Err(error),
                    Err(error) => Item::UnreadableEntry(error),
                };
                if let ControlFlow::Break(value) = visit(item) {
                    return Ok(ControlFlow::Break(value));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .await
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    async fn infos(&mut self, set: Option<SetName>) -> Result<Vec<SetInfo>, Error> {
        let mut infos = Vec::new();
        self.parts(set, Detail::Header, |part| {
            match part {
                Part::Set(part) => infos.extend(part.info.map(|info| *info)),
                Part::Unnameable(_) => {}
                Part::StartOver => infos.clear(),
            }
            Ok(ControlFlow::<()>::Continue(()))
        })
        .await?;
        Ok(infos)
    }

    async fn collect(&mut self, set: Option<SetName>) -> Result<Vec<Listed>, Error> {
        let mut all: Vec<Listed> = Vec::new();
        self.for_each(set, |item| {
            match (item, all.last_mut()) {
                (Item::Set(info), _) => all.push(Listed {
                    set: Set::new(info.spec.clone()),
                    info: *info,
                    unreadable: Vec::new(),
                }),
                (Item::Entry(entry), Some(last)) => last.set.entries.push(entry),
                (Item::UnreadableEntry(error), Some(last)) => last.unreadable.push(error),
                (Item::StartOver, _) => all.clear(),
                (Item::UnreadableSet(_), _) | (_, None) => {}
            }
            ControlFlow::<()>::Continue(())
        })
        .await?;
        Ok(all)
    }

    /// Hands over each part of a dump.
    async fn parts<B>(
        &mut self,
        set: Option<SetName>,
        detail: Detail,
        mut visit: impl FnMut(Part<'_>) -> Result<ControlFlow<B>, DecodeError>,
    ) -> Result<Option<B>, Error> {
        let request = Request::List { set, detail };
        let payload = Payload {
            protocol: self.protocol,
            request: &request,
        };
        let result = self
            .connection
            .dump(header_of(&request), &payload, |item| {
                match Part::read(item).and_then(&mut visit) {
                    Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                    Ok(ControlFlow::Break(value)) => ControlFlow::Break(Ok(value)),
                    Err(error) => ControlFlow::Break(Err(error)),
                }
            })
            .await;
        match result {
            Ok(None) => Ok(None),
            Ok(Some(Ok(value))) => Ok(Some(value)),
            Ok(Some(Err(error))) => Err(Error::Decode {
                operation: Box::new(Operation::List(set)),
                error,
            }),
            Err(error) => Err(self.error(&request, error).await),
        }
    }
}

/// Whether the bytes themselves are broken, not only what they mean to this crate.
fn cut_off(error: &DecodeError) -> bool {
    matches!(error, DecodeError::Attribute(error) if matches!(error.problem, Problem::Truncated { .. }))
}

/// The kernel sent entries of a set without having sent what the set is.
fn headless() -> DecodeError {
    Problem::Missing.of("IPSET_ATTR_TYPENAME").into()
}

fn headless_set(set: SetName) -> Error {
    Error::Decode {
        operation: Box::new(Operation::List(Some(set))),
        error: headless(),
    }
}
