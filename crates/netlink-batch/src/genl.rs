//! Generic netlink: families and their message types.

use netlink_packet_core::Emitable;
use netlink_wire::{DecodeError, Names, Writer, measure, require, walk};

use crate::uapi::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_HDRSIZE, CTRL_ATTR_MAXATTR,
    CTRL_ATTR_VERSION, CTRL_CMD_GETFAMILY, GENL_ID_CTRL,
};
use crate::{AsyncConnection, Connection, Error, Header, Message, Prefixed, errno};

/// Length of `struct genlmsghdr`.
const GENL_HDRLEN: usize = 4;

/// The longest family name in bytes: `GENL_NAMSIZ` without its NUL.
const MAX_NAME_LEN: usize = 15;

/// A generic-netlink family as the kernel describes it.
#[doc(alias = "CTRL_CMD_GETFAMILY")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FamilyInfo {
    /// The message type of its requests and replies. The kernel assigns a new one each time the
    /// module is loaded.
    pub id: u16,
    /// The version of its interface.
    pub version: u32,
    /// Length of the family's own header behind `genlmsghdr`, in bytes.
    pub header_size: u32,
    /// The number of its highest top-level attribute; 0 if the kernel does not report it.
    pub max_attribute: u32,
}

crate::methods! { Connection, AsyncConnection;
    /// Looks up a generic-netlink family by its name. The kernel loads the family's module if it
    /// knows which one it is and the caller is allowed to.
    ///
    /// # Errors
    /// [`Error::FamilyMissing`] if the kernel has no such family, [`Error::FamilyMalformed`]; else as
    /// [`get`](Self::get).
    pub async fn family(&mut self, name: &str) -> Result<FamilyInfo, Error> {
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
            parse_family(&reply).map_err(|error| Error::FamilyMalformed {
                name: name.to_owned(),
                error,
            })
        });
        found.await.map_err(|error| match error.code() {
            Some(errno::ENOENT) => missing(),
            _ => error,
        })
    }
}

const NAMES: &Names = &[
    (CTRL_ATTR_FAMILY_ID, "CTRL_ATTR_FAMILY_ID"),
    (CTRL_ATTR_VERSION, "CTRL_ATTR_VERSION"),
    (CTRL_ATTR_HDRSIZE, "CTRL_ATTR_HDRSIZE"),
    (CTRL_ATTR_MAXATTR, "CTRL_ATTR_MAXATTR"),
];

fn parse_family(reply: &Message<'_>) -> Result<FamilyInfo, DecodeError> {
    let attributes = reply.payload.get(GENL_HDRLEN..).unwrap_or_default();
    let mut id = None;
    let (mut version, mut header_size, mut max_attribute) = (0, 0, 0);
    walk(attributes, "CTRL_CMD_NEWFAMILY", NAMES, |attribute| {
        match attribute.kind() {
            CTRL_ATTR_FAMILY_ID => id = Some(attribute.u16()?),
            CTRL_ATTR_VERSION => version = attribute.u32()?,
            CTRL_ATTR_HDRSIZE => header_size = attribute.u32()?,
            CTRL_ATTR_MAXATTR => max_attribute = attribute.u32()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(FamilyInfo {
        id: require(id, "CTRL_ATTR_FAMILY_ID")?,
        version,
        header_size,
        max_attribute,
    })
}

/// `CTRL_ATTR_FAMILY_NAME`.
struct NameAttribute<'a>(&'a str);

impl NameAttribute<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.text(CTRL_ATTR_FAMILY_NAME, self.0);
    }
}

impl Emitable for NameAttribute<'_> {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}

#[cfg(test)]
mod tests {
    use netlink_wire::Problem;

    use super::*;

    fn reply(payload: &[u8]) -> Result<FamilyInfo, DecodeError> {
        parse_family(&Message {
            message_type: GENL_ID_CTRL,
            flags: 0,
            sequence: 1,
            port: 1,
            payload,
        })
    }

    fn description(write: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
        let encode = |writer: &mut Writer<'_>| {
            writer.header([1, 2, 0, 0]);
            write(writer);
        };
        let mut payload = vec![0; measure(encode)];
        encode(&mut Writer::new(&mut payload));
        payload
    }

    #[test]
    fn a_description_is_read_and_unknown_attributes_are_passed_over() {
        let payload = description(|writer| {
            writer.text(CTRL_ATTR_FAMILY_NAME, "IPVS");
            writer.u16(CTRL_ATTR_FAMILY_ID, 28);
            writer.u32(CTRL_ATTR_VERSION, 1);
            writer.u32(CTRL_ATTR_HDRSIZE, 8);
            writer.u32(CTRL_ATTR_MAXATTR, 6);
            writer.nest(99, |writer| writer.u32(1, 2));
        });
        let expected = FamilyInfo {
            id: 28,
            version: 1,
            header_size: 8,
            max_attribute: 6,
        };
        assert_eq!(reply(&payload), Ok(expected));
    }

    #[test]
    fn a_description_without_an_id_or_with_a_wrong_one_is_an_error() {
        let missing = description(|writer| writer.u32(CTRL_ATTR_VERSION, 1));
        let expected = Problem::Missing.of("CTRL_ATTR_FAMILY_ID");
        assert_eq!(reply(&missing), Err(expected));
        assert_eq!(reply(&[]), Err(expected));
        let long = description(|writer| writer.u32(CTRL_ATTR_FAMILY_ID, 28));
        let problem = Problem::Length {
            expected: 2,
            found: 4,
        };
        assert_eq!(reply(&long), Err(problem.of("CTRL_ATTR_FAMILY_ID")));
    }
}
