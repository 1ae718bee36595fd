//! Generic netlink: families and their message types.

use crate::message::attributes;
use crate::uapi::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_HDRSIZE, CTRL_ATTR_MAXATTR,
    CTRL_ATTR_VERSION, CTRL_CMD_GETFAMILY, GENL_ID_CTRL,
};
use crate::{Connection, Error, Header, Message, Prefixed, Transport, errno};

/// Length of `struct genlmsghdr`.
const GENL_HDRLEN: usize = 4;

/// The longest family name in bytes: `GENL_NAMSIZ` without its NUL.
const MAX_NAME_LEN: usize = 15;

/// A generic-netlink family as the kernel describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The message type of its requests and replies. The kernel gives it out anew when the module
    /// is loaded again.
    pub id: u16,
    /// The version of its interface.
    pub version: u32,
    /// Length of the family's own header behind `genlmsghdr`, in bytes.
    pub header_size: u32,
    /// Its highest top-level attribute, as far as the kernel says.
    pub max_attribute: u32,
}

impl<T: Transport> Connection<T> {
    /// Looks up a generic-netlink family. The kernel loads the family's module if it knows which
    /// and the caller may.
    ///
    /// # Errors
    /// [`Error::FamilyMissing`] if there is none; else as [`get`](Self::get).
    pub fn family(&mut self, name: &str) -> Result<Family, Error> {
        let missing = || Error::FamilyMissing {
            name: name.to_owned(),
        };
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return Err(missing());
        }
        let request = Prefixed {
            prefix: [CTRL_CMD_GETFAMILY, 2, 0, 0],
            payload: &NameAttribute(name),
        };
        let found = self.get(Header::new(GENL_ID_CTRL), &request, |reply| {
            parse_family(name, &reply)
        });
        found.map_err(|error| match error.code() {
            Some(errno::ENOENT) => missing(),
            _ => error,
        })
    }
}

fn parse_family(name: &str, reply: &Message<'_>) -> Result<Family, Error> {
    let mut id = None;
    let mut family = Family {
        id: 0,
        version: 0,
        header_size: 0,
        max_attribute: 0,
    };
    for attribute in
        attributes(reply.payload.get(GENL_HDRLEN..).unwrap_or_default()).map_while(Result::ok)
    {
        match attribute.kind {
            CTRL_ATTR_FAMILY_ID => id = attribute.u16(),
            CTRL_ATTR_VERSION => family.version = attribute.u32().unwrap_or_default(),
            CTRL_ATTR_HDRSIZE => family.header_size = attribute.u32().unwrap_or_default(),
            CTRL_ATTR_MAXATTR => family.max_attribute = attribute.u32().unwrap_or_default(),
            _ => {}
        }
    }
    let incomplete = || Error::FamilyIncomplete {
        name: name.to_owned(),
        attribute: "CTRL_ATTR_FAMILY_ID",
    };
    Ok(Family {
        id: id.ok_or_else(incomplete)?,
        ..family
    })
}

/// `CTRL_ATTR_FAMILY_NAME`.
struct NameAttribute<'a>(&'a str);

impl netlink_packet_core::Emitable for NameAttribute<'_> {
    fn buffer_len(&self) -> usize {
        4 + self.0.len() + 1
    }

    fn emit(&self, buffer: &mut [u8]) {
        // Never that long: the name was checked.
        let length = u16::try_from(self.buffer_len()).unwrap_or(u16::MAX);
        let (header, value) = buffer.split_at_mut(4);
        header
            .copy_from_slice(&[length.to_ne_bytes(), CTRL_ATTR_FAMILY_NAME.to_ne_bytes()].concat());
        value.fill(0);
        value
            .iter_mut()
            .zip(self.0.bytes())
            .for_each(|(space, byte)| *space = byte);
    }
}
