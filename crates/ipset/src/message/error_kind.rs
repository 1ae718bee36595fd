//! What the kernel's error numbers of ipset mean.

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::{Method, SetType};

/// Why the kernel refused a request: the meaning of its error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `EPERM`
    #[error("this needs CAP_NET_ADMIN in the user namespace that owns the network namespace")]
    Permission,
    /// `ENOENT`
    #[error("the set does not exist")]
    NoSuchSet,
    /// `EEXIST`
    #[error(
        "a set of this name exists, and with `Idempotent` it has another type or other options"
    )]
    SetExists,
    /// [`IPSET_ERR_PROTOCOL`]
    #[error(
        "the kernel does not understand the request: an address is of the other family, an attribute is not of its type, or it supports another version of the protocol"
    )]
    Protocol,
    /// [`IPSET_ERR_FIND_TYPE`]
    #[error(
        "the kernel has no such set type, not of this family or revision: its module cannot be loaded or was not built"
    )]
    UnknownType,
    /// [`IPSET_ERR_MAX_SETS`]
    #[error("the kernel has as many sets as it can have")]
    TooManySets,
    /// [`IPSET_ERR_BUSY`]; `EBUSY`, which `swap` answers with.
    #[error("the set is in use: a rule or another set refers to it, or somebody is listing it")]
    InUse,
    /// [`IPSET_ERR_EXIST_SETNAME2`] to `rename`
    #[error("a set of the new name exists")]
    NameTaken,
    /// [`IPSET_ERR_EXIST_SETNAME2`] to `swap`
    #[error("the second set does not exist")]
    NoSecondSet,
    /// [`IPSET_ERR_TYPE_MISMATCH`]
    #[error("the two sets are not of the same type and family")]
    TypeMismatch,
    /// [`IPSET_ERR_EXIST`] to `add`
    #[error("the entry is in the set")]
    EntryExists,
    /// [`IPSET_ERR_EXIST`] to `del` and `test`
    #[error("the entry is not in the set")]
    EntryMissing,
    /// [`IPSET_ERR_INVALID_CIDR`]
    #[error(
        "the prefix length is not one that this type takes: length 0 is only for hash:net,iface and hash:net,port,net"
    )]
    InvalidPrefix,
    /// [`IPSET_ERR_INVALID_NETMASK`]
    #[error("the netmask is not one that this type takes")]
    InvalidNetmask,
    /// [`IPSET_ERR_INVALID_FAMILY`]
    #[error("this type cannot be of this family")]
    InvalidFamily,
    /// [`IPSET_ERR_TIMEOUT`]
    #[error("the set was created without timeout")]
    NoTimeout,
    /// [`IPSET_ERR_REFERENCED`]
    #[error(
        "the set cannot be renamed: a rule or another set refers to it, or somebody is listing it"
    )]
    Referenced,
    /// [`IPSET_ERR_IPADDR_IPV4`]
    #[error("an IPv4 address is needed")]
    NeedsIpv4,
    /// [`IPSET_ERR_IPADDR_IPV6`]
    #[error("an IPv6 address is needed")]
    NeedsIpv6,
    /// [`IPSET_ERR_COUNTER`]
    #[error("the set was created without counters")]
    NoCounters,
    /// [`IPSET_ERR_COMMENT`]
    #[error("the set was created without comments")]
    NoComments,
    /// [`IPSET_ERR_INVALID_MARKMASK`]
    #[error("the mask of the mark is not valid")]
    InvalidMarkmask,
    /// [`IPSET_ERR_SKBINFO`]
    #[error("the set was created without skbinfo")]
    NoSkbinfo,
    /// [`IPSET_ERR_BITMASK_NETMASK_EXCL`]
    #[error("netmask and bitmask exclude each other")]
    MaskConflict,
    /// [`IPSET_ERR_HASH_FULL`]
    #[error("the set is full: make one with a higher maxelem and swap the two")]
    Full,
    /// [`IPSET_ERR_HASH_ELEM`]
    #[error("a null address or MAC address cannot be kept in a hash of this type")]
    NullElement,
    /// [`IPSET_ERR_INVALID_PROTO`]
    #[error("the protocol is not valid")]
    InvalidProtocol,
    /// [`IPSET_ERR_MISSING_PROTO`]
    #[error("the protocol is missing")]
    MissingProtocol,
    /// [`IPSET_ERR_HASH_RANGE_UNSUPPORTED`]
    #[error("this type takes no ranges in this family")]
    RangeUnsupported,
    /// [`IPSET_ERR_HASH_RANGE`]
    #[error("the range is not valid, or has too many elements for one entry")]
    InvalidRange,
    /// [`IPSET_ERR_BITMAP_RANGE`]
    #[error("the element is outside the range of the set")]
    OutOfRange,
    /// [`IPSET_ERR_BITMAP_RANGE_SIZE`]
    #[error("the range is larger than a bitmap can be")]
    RangeTooLarge,
    /// [`IPSET_ERR_NAME`]
    #[error("the set that is to be a member does not exist")]
    NoSuchMember,
    /// [`IPSET_ERR_LOOP`]
    #[error("a list:set cannot be a member of a list:set")]
    Loop,
    /// [`IPSET_ERR_BEFORE`]
    #[error("`before` and `after` need a set")]
    NoNeighbour,
    /// [`IPSET_ERR_NAMEREF`]
    #[error("the set named by `before` or `after` does not exist")]
    NoSuchNeighbour,
    /// [`IPSET_ERR_LIST_FULL`]; today's kernels take more members than `size`.
    #[error("the list is full: make one with a larger size and swap the two")]
    ListFull,
    /// [`IPSET_ERR_REF_EXIST`]
    #[error("the set named by `before` or `after` is not a member")]
    NeighbourNotMember,
    /// `EINVAL`
    #[error(
        "the kernel calls the request invalid: an attribute is out of bounds, or the null address is refused"
    )]
    Invalid,
    /// `ENOMEM`
    #[error("the kernel has no memory for this: give a smaller hashsize")]
    NoMemory,
    /// Another number: an error number of the system, or one of a type that this crate does not
    /// know.
    #[error("error {0}")]
    Other(i32),
}

/// `EPERM`; this number and the next five are the same on all architectures.
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/asm-generic/errno-base.h>
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ENOMEM: i32 = 12;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;

impl ErrorKind {
    /// What the error number `code` (positive) means as the answer to a command (`IPSET_CMD_*`) for
    /// a set of this type; numbers from 4352 on have a meaning only with the type.
    #[must_use]
    pub fn new(code: i32, command: u8, set_type: Option<&SetType>) -> Self {
        match code {
            EPERM => Self::Permission,
            ENOENT => Self::NoSuchSet,
            ENOMEM => Self::NoMemory,
            EBUSY | IPSET_ERR_BUSY => Self::InUse,
            EEXIST => Self::SetExists,
            EINVAL => Self::Invalid,
            IPSET_ERR_PROTOCOL => Self::Protocol,
            IPSET_ERR_FIND_TYPE => Self::UnknownType,
            IPSET_ERR_MAX_SETS => Self::TooManySets,
            IPSET_ERR_EXIST_SETNAME2 if command == IPSET_CMD_SWAP => Self::NoSecondSet,
            IPSET_ERR_EXIST_SETNAME2 => Self::NameTaken,
            IPSET_ERR_TYPE_MISMATCH => Self::TypeMismatch,
            IPSET_ERR_EXIST if command == IPSET_CMD_ADD => Self::EntryExists,
            IPSET_ERR_EXIST => Self::EntryMissing,
            IPSET_ERR_INVALID_CIDR => Self::InvalidPrefix,
            IPSET_ERR_INVALID_NETMASK => Self::InvalidNetmask,
            IPSET_ERR_INVALID_FAMILY => Self::InvalidFamily,
            IPSET_ERR_TIMEOUT => Self::NoTimeout,
            IPSET_ERR_REFERENCED => Self::Referenced,
            IPSET_ERR_IPADDR_IPV4 => Self::NeedsIpv4,
            IPSET_ERR_IPADDR_IPV6 => Self::NeedsIpv6,
            IPSET_ERR_COUNTER => Self::NoCounters,
            IPSET_ERR_COMMENT => Self::NoComments,
            IPSET_ERR_INVALID_MARKMASK => Self::InvalidMarkmask,
            IPSET_ERR_SKBINFO => Self::NoSkbinfo,
            IPSET_ERR_BITMASK_NETMASK_EXCL => Self::MaskConflict,
            _ => {
                Self::of_type(code, set_type.and_then(SetType::method)).unwrap_or(Self::Other(code))
            }
        }
    }

    fn of_type(code: i32, method: Option<Method>) -> Option<Self> {
        Some(match (method?, code) {
            (Method::Hash, IPSET_ERR_HASH_FULL) => Self::Full,
            (Method::Hash, IPSET_ERR_HASH_ELEM) => Self::NullElement,
            (Method::Hash, IPSET_ERR_INVALID_PROTO) => Self::InvalidProtocol,
            (Method::Hash, IPSET_ERR_MISSING_PROTO) => Self::MissingProtocol,
            (Method::Hash, IPSET_ERR_HASH_RANGE_UNSUPPORTED) => Self::RangeUnsupported,
            (Method::Hash, IPSET_ERR_HASH_RANGE) => Self::InvalidRange,
            (Method::Bitmap, IPSET_ERR_BITMAP_RANGE) => Self::OutOfRange,
            (Method::Bitmap, IPSET_ERR_BITMAP_RANGE_SIZE) => Self::RangeTooLarge,
            (Method::List, IPSET_ERR_NAME) => Self::NoSuchMember,
            (Method::List, IPSET_ERR_LOOP) => Self::Loop,
            (Method::List, IPSET_ERR_BEFORE) => Self::NoNeighbour,
            (Method::List, IPSET_ERR_NAMEREF) => Self::NoSuchNeighbour,
            (Method::List, IPSET_ERR_LIST_FULL) => Self::ListFull,
            (Method::List, IPSET_ERR_REF_EXIST) => Self::NeighbourNotMember,
            _ => return None,
        })
    }

    /// Whether the number means different things for different types of set.
    #[must_use]
    pub fn depends_on_type(code: i32) -> bool {
        code >= IPSET_ERR_TYPE_SPECIFIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_means_what_command_and_type_say() {
        let hash = Some(&SetType::HASH_IP);
        let meanings = [
            (4103, IPSET_CMD_ADD, hash, ErrorKind::EntryExists),
            (4103, IPSET_CMD_TEST, hash, ErrorKind::EntryMissing),
            (4101, IPSET_CMD_RENAME, None, ErrorKind::NameTaken),
            (4101, IPSET_CMD_SWAP, None, ErrorKind::NoSecondSet),
            (4352, IPSET_CMD_ADD, hash, ErrorKind::Full),
            (
                4352,
                IPSET_CMD_ADD,
                Some(&SetType::BITMAP_PORT),
                ErrorKind::OutOfRange,
            ),
            (
                4352,
                IPSET_CMD_ADD,
                Some(&SetType::LIST_SET),
                ErrorKind::NoSuchMember,
            ),
            (4352, IPSET_CMD_ADD, None, ErrorKind::Other(4352)),
            (16, IPSET_CMD_SWAP, None, ErrorKind::InUse),
        ];
        for (code, command, set_type, meaning) in meanings {
            assert_eq!(ErrorKind::new(code, command, set_type), meaning);
        }
    }
}
