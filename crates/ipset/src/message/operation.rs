//! What was tried, for errors.

use std::fmt;

use crate::message::Request;
use crate::{Entry, SetName, SetType};

/// The operation that an error is about. Displays as "adding 10.0.0.1 to set web".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Asking for the protocol versions of the kernel.
    Negotiate,
    /// Creating a set.
    Create(SetName),
    /// Destroying a set, or all.
    Destroy(Option<SetName>),
    /// Emptying a set, or all.
    Flush(Option<SetName>),
    /// Renaming a set.
    Rename {
        /// From this name.
        from: SetName,
        /// To this name.
        to: SetName,
    },
    /// Swapping two sets.
    Swap {
        /// One.
        one: SetName,
        /// The other.
        other: SetName,
    },
    /// Listing a set, or all.
    List(Option<SetName>),
    /// Adding an entry. Those before it were added, those behind it were not tried.
    Add {
        /// To this set.
        set: SetName,
        /// The entry, and its index among those given, from 0; `None` if the kernel names none.
        entry: Option<(usize, Box<Entry>)>,
    },
    /// Deleting an entry. Those before it were deleted, those behind it were not tried.
    Delete {
        /// From this set.
        set: SetName,
        /// The entry, and its index among those given, from 0; `None` if the kernel names none.
        entry: Option<(usize, Box<Entry>)>,
    },
    /// Testing an entry.
    Test {
        /// In this set.
        set: SetName,
        /// Which.
        entry: Box<Entry>,
    },
    /// Asking for type and revision of a set.
    Header(SetName),
    /// Asking for the revisions of a set type.
    Type(SetType),
    /// Asking for the index of a set.
    Index(SetName),
    /// Asking for the name of the set with an index.
    Name(u16),
}

impl Operation {
    /// The operation of a request; `failed` is the index of the entry that the kernel named.
    #[must_use]
    pub fn of(request: &Request<'_>, failed: Option<usize>) -> Self {
        let entry = |entries: &[Entry]| {
            let place = failed.or_else(|| (entries.len() == 1).then_some(0))?;
            Some((place, Box::new(entries.get(place)?.clone())))
        };
        match request {
            Request::Protocol => Self::Negotiate,
            Request::Create { spec, .. } => Self::Create(spec.name),
            Request::Destroy { set, .. } => Self::Destroy(*set),
            Request::Flush { set } => Self::Flush(*set),
            Request::Rename { from, to } => Self::Rename {
                from: *from,
                to: *to,
            },
            Request::Swap { one, other } => Self::Swap {
                one: *one,
                other: *other,
            },
            Request::List { set, .. } | Request::Save { set } => Self::List(*set),
            Request::Add { set, entries, .. } => Self::Add {
                set: *set,
                entry: entry(entries.entries()),
            },
            Request::Del { set, entries, .. } => Self::Delete {
                set: *set,
                entry: entry(entries.entries()),
            },
            Request::Test { set, entry } => Self::Test {
                set: *set,
                entry: Box::new(entry.as_ref().clone()),
            },
            Request::Header { set } => Self::Header(*set),
            Request::Type { set_type, .. } => Self::Type(*set_type),
            Request::GetByName { set } => Self::Index(*set),
            Request::GetByIndex { index } => Self::Name(*index),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = |entry: &Option<(usize, Box<Entry>)>| match entry {
            Some((_, entry)) => entry.to_string(),
            None => "entries".to_owned(),
        };
        match self {
            Self::Negotiate => f.write_str("asking for ipset"),
            Self::Create(set) => write!(f, "creating set {set}"),
            Self::Destroy(Some(set)) => write!(f, "destroying set {set}"),
            Self::Destroy(None) => f.write_str("destroying all sets"),
            Self::Flush(Some(set)) => write!(f, "emptying set {set}"),
            Self::Flush(None) => f.write_str("emptying all sets"),
            Self::Rename { from, to } => write!(f, "renaming set {from} to {to}"),
            Self::Swap { one, other } => write!(f, "swapping sets {one} and {other}"),
            Self::List(Some(set)) => write!(f, "listing set {set}"),
            Self::List(None) => f.write_str("listing all sets"),
            Self::Add { set, entry: which } => write!(f, "adding {} to set {set}", entry(which)),
            Self::Delete { set, entry: which } => {
                write!(f, "deleting {} from set {set}", entry(which))
            }
            Self::Test { set, entry } => write!(f, "testing {entry} in set {set}"),
            Self::Header(set) => write!(f, "asking for the type of set {set}"),
            Self::Type(set_type) => write!(f, "asking for set type {set_type}"),
            Self::Index(set) => write!(f, "asking for the index of set {set}"),
            Self::Name(index) => write!(f, "asking for the set with index {index}"),
        }
    }
}
