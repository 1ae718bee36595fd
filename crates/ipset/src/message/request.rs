//! What can be asked of ipset.

use std::borrow::Cow;

use netlink_packet_core::Emitable;
use netlink_wire::{Writer, measure};

use crate::message::EntryBatch;
#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::{IpsetWriter, encode_entry, encode_spec};
use crate::{Entry, Family, SetName, SetSpec, SetType};

/// A request, with the values of its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Ask for the protocol versions of the kernel.
    Protocol,
    /// Make a set.
    Create {
        /// What set.
        spec: Cow<'a, SetSpec>,
        /// Revision of its type: no newer than the kernel's ([`Request::Type`]).
        revision: u8,
        /// Whether a set of this name, type and options may be there.
        mode: Mode,
    },
    /// Destroy a set, or all of them: none if any is in use.
    Destroy {
        /// Which, or all.
        set: Option<SetName>,
        /// Whether it may be missing.
        mode: Mode,
    },
    /// Remove all entries of a set, or of all sets.
    Flush {
        /// Which, or all.
        set: Option<SetName>,
    },
    /// Give a set another name. The kernel refuses if a rule or a set refers to it.
    Rename {
        /// The old name.
        from: SetName,
        /// The new name.
        to: SetName,
    },
    /// Exchange the names of two sets, so that what refers to the one refers to the other. See
    /// [`SetSpec::swappable`].
    Swap {
        /// One.
        one: SetName,
        /// The other.
        other: SetName,
    },
    /// Dump sets.
    List {
        /// Which, or all.
        set: Option<SetName>,
        /// What of them.
        detail: Detail,
    },
    /// Dump sets; the kernel answers as it does to [`Request::List`].
    Save {
        /// Which, or all.
        set: Option<SetName>,
    },
    /// Add entries. The kernel stops at the first it refuses; those before it stay.
    Add {
        /// To which set.
        set: SetName,
        /// What.
        entries: EntryBatch<'a>,
        /// Whether they may be there: then they are updated.
        mode: Mode,
    },
    /// Delete entries. The kernel stops at the first it refuses; those before it are gone.
    Del {
        /// From which set.
        set: SetName,
        /// What.
        entries: EntryBatch<'a>,
        /// Whether they may be missing.
        mode: Mode,
    },
    /// Ask whether an entry matches; the kernel refuses with `IPSET_ERR_EXIST` if not.
    Test {
        /// In which set.
        set: SetName,
        /// What.
        entry: Cow<'a, Entry>,
    },
    /// Type, family and revision of a set.
    Header {
        /// Which.
        set: SetName,
    },
    /// Which revisions of a type the kernel has; loads its module if it is not loaded.
    Type {
        /// Which.
        set_type: SetType,
        /// For which family; none for types without addresses.
        family: Option<Family>,
    },
    /// The index of a set (protocol 7).
    GetByName {
        /// Which.
        set: SetName,
    },
    /// The name of a set (protocol 7).
    GetByIndex {
        /// Which.
        index: u16,
    },
}

/// Whether a request that finds nothing to do fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It fails.
    #[default]
    Strict,
    /// It succeeds: a set or entry to create may exist, one to delete may be missing (`-exist` of ipset).
    Idempotent,
}

/// How much of a set is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detail {
    /// Its name.
    Name,
    /// All but its entries.
    Header,
    /// All.
    #[default]
    Entries,
}

impl Request<'_> {
    /// The kernel's number of the command (`IPSET_CMD_*`).
    #[must_use]
    pub fn command(&self) -> u8 {
        match self {
            Self::Protocol => IPSET_CMD_PROTOCOL,
            Self::Create { .. } => IPSET_CMD_CREATE,
            Self::Destroy { .. } => IPSET_CMD_DESTROY,
            Self::Flush { .. } => IPSET_CMD_FLUSH,
            Self::Rename { .. } => IPSET_CMD_RENAME,
            Self::Swap { .. } => IPSET_CMD_SWAP,
            Self::List { .. } => IPSET_CMD_LIST,
            Self::Save { .. } => IPSET_CMD_SAVE,
            Self::Add { .. } => IPSET_CMD_ADD,
            Self::Del { .. } => IPSET_CMD_DEL,
            Self::Test { .. } => IPSET_CMD_TEST,
            Self::Header { .. } => IPSET_CMD_HEADER,
            Self::Type { .. } => IPSET_CMD_TYPE,
            Self::GetByName { .. } => IPSET_CMD_GET_BYNAME,
            Self::GetByIndex { .. } => IPSET_CMD_GET_BYINDEX,
        }
    }

    /// `nlmsg_type`.
    #[must_use]
    pub fn message_type(&self) -> u16 {
        NFNL_SUBSYS_IPSET << 8 | u16::from(self.command())
    }

    /// `nlmsg_flags`, without `NLM_F_REQUEST` and `NLM_F_ACK`.
    #[must_use]
    pub fn flags(&self) -> u16 {
        match self {
            Self::Create {
                mode: Mode::Strict, ..
            } => NLM_F_CREATE | NLM_F_EXCL,
            Self::Create {
                mode: Mode::Idempotent,
                ..
            } => NLM_F_CREATE,
            Self::Destroy {
                mode: Mode::Strict, ..
            }
            | Self::Add {
                mode: Mode::Strict, ..
            }
            | Self::Del {
                mode: Mode::Strict, ..
            } => NLM_F_EXCL,
            Self::List { .. } | Self::Save { .. } => NLM_F_DUMP,
            _ => 0,
        }
    }

    /// The set that it is about, if it is about one.
    #[must_use]
    pub fn set(&self) -> Option<SetName> {
        match self {
            Self::Create { spec, .. } => Some(spec.name),
            Self::Destroy { set, .. }
            | Self::Flush { set }
            | Self::List { set, .. }
            | Self::Save { set } => *set,
            Self::Rename { from: set, .. }
            | Self::Swap { one: set, .. }
            | Self::Add { set, .. }
            | Self::Del { set, .. }
            | Self::Test { set, .. }
            | Self::Header { set }
            | Self::GetByName { set } => Some(*set),
            Self::Protocol | Self::Type { .. } | Self::GetByIndex { .. } => None,
        }
    }

    /// The same, independent of what it was made from.
    #[must_use]
    pub fn into_owned(self) -> Request<'static> {
        match self {
            Self::Create {
                spec,
                revision,
                mode,
            } => Request::Create {
                spec: Cow::Owned(spec.into_owned()),
                revision,
                mode,
            },
            Self::Add { set, entries, mode } => Request::Add {
                set,
                entries: entries.into_owned(),
                mode,
            },
            Self::Del { set, entries, mode } => Request::Del {
                set,
                entries: entries.into_owned(),
                mode,
            },
            Self::Test { set, entry } => Request::Test {
                set,
                entry: Cow::Owned(entry.into_owned()),
            },
            Self::Protocol => Request::Protocol,
            Self::Destroy { set, mode } => Request::Destroy { set, mode },
            Self::Flush { set } => Request::Flush { set },
            Self::Rename { from, to } => Request::Rename { from, to },
            Self::Swap { one, other } => Request::Swap { one, other },
            Self::List { set, detail } => Request::List { set, detail },
            Self::Save { set } => Request::Save { set },
            Self::Header { set } => Request::Header { set },
            Self::Type { set_type, family } => Request::Type { set_type, family },
            Self::GetByName { set } => Request::GetByName { set },
            Self::GetByIndex { index } => Request::GetByIndex { index },
        }
    }

    fn attributes(&self, writer: &mut Writer<'_>) {
        if let Some(set) = self.set() {
            writer.text(IPSET_ATTR_SETNAME, set.as_str());
        }
        match self {
            Self::Create { spec, revision, .. } => {
                writer.text(IPSET_ATTR_TYPENAME, spec.set_type.as_str());
                writer.u8(IPSET_ATTR_REVISION, *revision);
                writer.u8(IPSET_ATTR_FAMILY, family_number(spec.family));
                writer.nest(IPSET_ATTR_DATA, |writer| encode_spec(&spec.options, writer));
            }
            Self::Rename { to: other, .. } | Self::Swap { other, .. } => {
                writer.text(IPSET_ATTR_SETNAME2, other.as_str());
            }
            Self::List {
                detail: Detail::Name,
                ..
            } => writer.be32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_SETNAME),
            Self::List {
                detail: Detail::Header,
                ..
            } => writer.be32(IPSET_ATTR_FLAGS, IPSET_FLAG_LIST_HEADER),
            Self::Add { entries, .. } | Self::Del { entries, .. } => entries.encode(writer),
            Self::Test { entry, .. } => {
                writer.nest(IPSET_ATTR_DATA, |writer| encode_entry(entry, None, writer));
            }
            Self::Type { set_type, family } => {
                writer.text(IPSET_ATTR_TYPENAME, set_type.as_str());
                writer.u8(IPSET_ATTR_FAMILY, family_number(*family));
            }
            Self::GetByIndex { index } => writer.be16(IPSET_ATTR_INDEX, *index),
            Self::Protocol
            | Self::Destroy { .. }
            | Self::Flush { .. }
            | Self::List { .. }
            | Self::Save { .. }
            | Self::Header { .. }
            | Self::GetByName { .. } => {}
        }
    }
}

/// `NFPROTO_*`.
pub(crate) fn family_number(family: Option<Family>) -> u8 {
    family.map_or(NFPROTO_UNSPEC, Family::number)
}

/// A request as the payload of a netlink message: `struct nfgenmsg`, then the attributes. Writing
/// it allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// The version of the protocol: 7, or 6 for older kernels.
    pub protocol: u8,
    /// What to ask.
    pub request: &'a Request<'a>,
}

impl Payload<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        // ipset sends IPv4 for every family; the kernel ignores it.
        writer.header([NFPROTO_IPV4, NFNETLINK_V0, 0, 0]);
        writer.u8(IPSET_ATTR_PROTOCOL, self.protocol);
        self.request.attributes(writer);
    }
}

impl Emitable for Payload<'_> {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}
