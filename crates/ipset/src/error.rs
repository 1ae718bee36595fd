//! What can go wrong.

use std::fmt::{self, Write};

use crate::text::family_name;
use crate::{DecodeError, Entry, ErrorKind, Family, Operation, SetName, SetType};

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a set that neither the kernel nor the text format would take.
    #[error("{name:?} cannot be the name of a set: {reason}")]
    InvalidSetName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name of an interface that neither the kernel nor the text format would take.
    #[error("{name:?} cannot be the name of an interface in a set: {reason}")]
    InvalidInterfaceName {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Text that is not what is expected at its position.
    #[error("`{}` is not {expected}: {hint}", Printable(.token))]
    Syntax {
        /// What is expected there, with its article: "an address".
        expected: &'static str,
        /// The text found.
        token: String,
        /// What would be right.
        hint: &'static str,
    },
    /// Text that ends too early.
    #[error("{expected} is missing at the end of the line")]
    Missing {
        /// What should have followed.
        expected: &'static str,
    },
    /// A line of a text: it cannot be read, or what it asks for failed.
    #[error("line {line}: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// An entry of a set which no line before has created, and which is not known otherwise.
    #[error("set {set} has not been created before this line")]
    UnknownSet {
        /// The name in the line.
        set: SetName,
    },
    /// A second `create` for a name.
    #[error("set {set} has been created before")]
    DuplicateSet {
        /// The name in the line.
        set: SetName,
    },
    /// A set type that this crate does not know, so that its elements cannot be read or written.
    #[error(
        "set type {set_type} is not known to this crate: its elements cannot be read or written"
    )]
    UnknownSetType {
        /// The type.
        set_type: SetType,
    },
    /// Options with which the kernel would not create the set, or would create another.
    #[error("set {set} cannot be created as {set_type}: {reason}")]
    InvalidSpec {
        /// The set.
        set: SetName,
        /// Its type.
        set_type: SetType,
        /// What is wrong.
        reason: &'static str,
    },
    /// An entry that the kernel would refuse in this set, or would store as another.
    #[error("set {set} ({set_type}) cannot hold {entry}: {reason}")]
    InvalidEntry {
        /// The set.
        set: SetName,
        /// Its type.
        set_type: SetType,
        /// The entry.
        entry: Box<Entry>,
        /// Why not.
        reason: EntryFault,
    },
    /// A comment that the kernel would take, but that breaks the text of `ipset save`, or one that
    /// is too long for the kernel.
    #[error(
        "set {set}: the comment of {entry} cannot be used: {}",
        EntryFault::Comment
    )]
    InvalidComment {
        /// The set.
        set: SetName,
        /// The entry.
        entry: Box<Entry>,
    },
    /// The kernel refused.
    #[error("{operation}: {kind}{}", Detail(.message))]
    Kernel {
        /// The operation that failed.
        operation: Box<Operation>,
        /// The reason.
        kind: ErrorKind,
        /// The kernel's error number, positive.
        code: i32,
        /// The kernel's message (extended ack), if it sent one.
        message: Option<Box<str>>,
    },
    /// The kernel's revision of a set type is too old for an option, which it would ignore.
    #[error(
        "set {set}: `{option}` needs revision {needed} of set type {set_type}, and this kernel has {revision}"
    )]
    OldRevision {
        /// The set.
        set: SetName,
        /// Its type.
        set_type: SetType,
        /// The option.
        option: &'static str,
        /// From which revision on the type has it.
        needed: u8,
        /// The kernel's newest.
        revision: u8,
    },
    /// Kernel and crate have no protocol version in common, or not the one that a command needs.
    #[error(
        "{operation}: the kernel supports protocol versions {min} to {max} of ipset, version {needed} is needed"
    )]
    ProtocolVersion {
        /// The operation that failed.
        operation: Box<Operation>,
        /// The kernel's oldest.
        min: u8,
        /// The kernel's newest.
        max: u8,
        /// What is needed.
        needed: u8,
    },
    /// The kernel has no ipset.
    #[error("this kernel has no ipset: load module ip_set (it needs CONFIG_IP_SET)")]
    NoIpset,
    /// The contents were replaced, but the set with the old contents could not be destroyed.
    #[error("set {set} is replaced, but what it was before stays as set {leftover}: {error}")]
    Leftover {
        /// The set.
        set: SetName,
        /// The name under which the old one can be destroyed.
        leftover: SetName,
        /// Why it was not.
        error: Box<Error>,
    },
    /// A reply that breaks the rules of the kernel's interface.
    #[error("{operation}: {error}")]
    Decode {
        /// The operation that failed.
        operation: Box<Operation>,
        /// What is wrong with the reply.
        error: DecodeError,
    },
    /// Talking to the kernel failed.
    #[cfg(feature = "client")]
    #[error("{operation}: {error}")]
    Netlink {
        /// The operation that failed.
        operation: Box<Operation>,
        /// What failed.
        error: netlink_batch::Error,
    },
}

/// Text of others in an error: on one line, without control characters and marks of direction, and
/// cut where it is long.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        for (index, c) in self.0.chars().enumerate() {
            if index == LONGEST {
                return f.write_str("…");
            }
            match c {
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "{}", c.escape_unicode())?;
                }
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The kernel's words behind ours.
struct Detail<'a>(&'a Option<Box<str>>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(message) => write!(f, " ({message})"),
            None => Ok(()),
        }
    }
}

/// Why a set cannot hold an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// The element is not made of what the type asks for.
    #[error("its elements are made of {expected}")]
    WrongElement {
        /// The parts of the type's elements.
        expected: &'static str,
    },
    /// An address of the other family.
    #[error("the set is of family {}", family_name(*.family))]
    WrongFamily {
        /// The set's.
        family: Option<Family>,
    },
    /// A network or a range where the kernel takes one address only.
    #[error("the kernel takes no network or range there, only one address")]
    NotOneAddress,
    /// A prefix of length 0, other than in `hash:net,iface` and `hash:net,port,net`.
    #[error("the kernel refuses prefix length 0 in this type: use the two halves with length 1")]
    ZeroPrefix,
    /// `0.0.0.0` or `::`, in whole or after the set's netmask.
    #[error("the kernel refuses the null address in this type")]
    NullAddress,
    /// A MAC address of zeroes.
    #[error("the kernel refuses the null MAC address in this type")]
    NullMac,
    /// `hash:ip,mac` without a MAC address.
    #[error("a MAC address is needed in this type")]
    NoMac,
    /// Outside the bitmap's range.
    #[error("it is outside the set's range")]
    OutOfRange,
    /// Protocol 0.
    #[error("the kernel refuses protocol 0")]
    NullProtocol,
    /// A port with a protocol that has none: the kernel would store port 0.
    #[error("this protocol has no ports in family {}: only 0 is kept", family_name(*.family))]
    PortWithoutPorts {
        /// The set's.
        family: Option<Family>,
    },
    /// An option of the entry that the set was created without.
    #[error("the set was created without `{option}`")]
    WithoutExtension {
        /// As in the set's `create` line.
        option: &'static str,
    },
    /// `nomatch` where the type has no networks.
    #[error("`nomatch` is only for types with networks")]
    NoMatch,
    /// `before` or `after` outside `list:set`.
    #[error("`before` and `after` are only for list:set")]
    Position,
    /// A timeout beyond what the kernel can count.
    #[error("the longest timeout is {} seconds", crate::MAX_TIMEOUT)]
    Timeout,
    /// A comment that is empty, longer than 255 bytes, or has what the text format cannot carry.
    #[error("a comment has 1 to 255 bytes and neither control characters nor double quotes")]
    Comment,
    /// A counter of 2⁶⁴−1, which the kernel reads as "not given".
    #[error("the kernel reads the counter 18446744073709551615 as not given")]
    Counter,
}

impl Error {
    /// Why the kernel refused the request, if it did.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Kernel { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    /// A [`Error::Syntax`].
    pub(crate) fn token(
        expected: &'static str,
        token: impl fmt::Display,
        hint: &'static str,
    ) -> Self {
        Self::Syntax {
            expected,
            token: token.to_string(),
            hint,
        }
    }
}
