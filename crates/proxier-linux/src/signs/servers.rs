//! The sign of the virtual servers of IPv4: their settings, and how many destinations each has.
//!
//! To read all of them takes time that grows with their number. So around a plan that changes a few, those alone are read, and
//! what is known of the others stays as it is, until all are read again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::num::NonZeroU32;

use ipvs_netlink::{Family, Protocol, VirtualServerId};
use nix::libc;

use super::IP_VS_BASE_CTL;
use crate::sockopt::Questions;

const IP_VS_SO_GET_INFO: i32 = IP_VS_BASE_CTL + 1;
const IP_VS_SO_GET_SERVICES: i32 = IP_VS_BASE_CTL + 2;
const IP_VS_SO_GET_SERVICE: i32 = IP_VS_BASE_CTL + 3;

/// `sizeof(struct ip_vs_getinfo)`, and where `num_services` is in it.
const INFO: usize = 12;
const NUM_SERVICES: usize = 8;
/// `offsetof(struct ip_vs_get_services, entrytable)` and `sizeof(struct ip_vs_service_entry)`, on machines whose longs have
/// 64 bits; how much of an entry comes before its statistics.
const TABLE: usize = 8;
const ENTRY: usize = 104;
const SETTINGS: usize = 48;
/// `offsetof` of what names a virtual server: `protocol` and `fwmark` in the machine's order of bytes, `addr` and `port` in that of
/// the network.
const PROTOCOL: usize = 0;
const ADDRESS: usize = 4;
const PORT: usize = 8;
const MARK: usize = 12;

/// Of more virtual servers than these only the number is looked at: the settings of all take time.
const MANY: usize = 2048;
/// To read a table of so many takes no longer than to ask for one of them.
const TABLE_PER_QUESTION: usize = 16;
/// Of more virtual servers than these all are read.
pub(super) const FEW: usize = MANY / TABLE_PER_QUESTION;

/// The virtual servers as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Servers {
    count: usize,
    /// The sign of each, where they are not too many.
    signs: HashMap<VirtualServerId, u64>,
    /// Of all those signs: it does not depend on the order in which they are seen.
    sum: u64,
}

impl Servers {
    /// The sign, after a look at these virtual servers, which are named once or more; at all where none are given, or where that
    /// is cheaper.
    pub(super) fn sign(
        &mut self,
        questions: &Questions,
        touched: Option<&[VirtualServerId]>,
    ) -> Option<u64> {
        let known = self.signs.len();
        // Those that are touched may be new.
        let is_few = |few: usize| few * TABLE_PER_QUESTION <= known && few + known <= MANY;
        let few = touched.filter(|few| is_few(few.len()));
        let seen = match few {
            Some(few) => few.iter().try_for_each(|id| self.look_at(questions, *id)),
            None => self.look_at_all(questions),
        };
        if seen.is_none() {
            *self = Self::default();
        }
        seen.map(|()| {
            let mut hasher = DefaultHasher::new();
            (self.count, self.sum).hash(&mut hasher);
            hasher.finish()
        })
    }

    fn look_at(&mut self, questions: &Questions, id: VirtualServerId) -> Option<()> {
        let Some(mut entry) = question(&id) else {
            return Some(());
        };
        let answer = questions.get(IP_VS_SO_GET_SERVICE, &mut entry);
        let before = match answer {
            Ok(()) => {
                let sign = sign(&entry);
                self.sum = self.sum.wrapping_add(sign);
                self.signs.insert(id, sign)
            }
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => self.signs.remove(&id),
            Err(_) => return None,
        };
        self.sum = self.sum.wrapping_sub(before.unwrap_or_default());
        self.count = self.signs.len();
        Some(())
    }

    fn look_at_all(&mut self, questions: &Questions) -> Option<()> {
        let mut info = [0; INFO];
        questions.get(IP_VS_SO_GET_INFO, &mut info).ok()?;
        let number = info.get(NUM_SERVICES..)?.first_chunk()?;
        *self = Self {
            count: usize::try_from(u32::from_ne_bytes(*number)).ok()?,
            ..Self::default()
        };
        if self.count > MANY || cfg!(not(target_pointer_width = "64")) {
            return Some(());
        }
        let mut table = vec![0; TABLE + self.count * ENTRY];
        table.get_mut(..number.len())?.copy_from_slice(number);
        questions.get(IP_VS_SO_GET_SERVICES, &mut table).ok()?;
        for entry in table.get(TABLE..)?.chunks_exact(ENTRY) {
            let sign = sign(entry);
            self.signs.insert(id(entry)?, sign);
            self.sum = self.sum.wrapping_add(sign);
        }
        Some(())
    }
}

/// The virtual server that an entry is of.
fn id(entry: &[u8]) -> Option<VirtualServerId> {
    let protocol = u16::from_ne_bytes(field(entry, PROTOCOL)?);
    let address: [u8; 4] = field(entry, ADDRESS)?;
    let mark = u32::from_ne_bytes(field(entry, MARK)?);
    Some(match NonZeroU32::new(mark) {
        Some(mark) => VirtualServerId::fwmark(Family::V4, mark),
        None => VirtualServerId::Address {
            protocol: Protocol(u8::try_from(protocol).ok()?),
            address: address.into(),
            port: u16::from_be_bytes(field(entry, PORT)?),
        },
    })
}

/// The question for a virtual server; `None` for one of IPv6, which cannot be asked for this way.
fn question(id: &VirtualServerId) -> Option<[u8; ENTRY]> {
    let mut entry = [0; ENTRY];
    match *id {
        VirtualServerId::Address {
            protocol,
            address: IpAddr::V4(address),
            port,
        } => {
            put(&mut entry, PROTOCOL, u16::from(protocol.0).to_ne_bytes());
            put(&mut entry, ADDRESS, address.octets());
            put(&mut entry, PORT, port.to_be_bytes());
        }
        VirtualServerId::FirewallMark {
            family: Family::V4,
            mark,
        } => put(&mut entry, MARK, mark.get().to_ne_bytes()),
        _ => return None,
    }
    Some(entry)
}

fn field<const N: usize>(entry: &[u8], at: usize) -> Option<[u8; N]> {
    entry.get(at..)?.first_chunk().copied()
}

fn put<const N: usize>(entry: &mut [u8; ENTRY], at: usize, value: [u8; N]) {
    let room = entry.iter_mut().skip(at);
    room.zip(value).for_each(|(byte, value)| *byte = value);
}

/// Of an entry without its statistics.
fn sign(entry: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.get(..SETTINGS).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_the_virtual_server_that_was_asked_for() {
        let servers = [
            VirtualServerId::tcp(([10, 96, 0, 1], 443)),
            VirtualServerId::sctp(([10, 96, 0, 2], 9)),
            VirtualServerId::fwmark(Family::V4, NonZeroU32::MAX),
        ];
        for server in servers {
            let entry = question(&server).unwrap();
            assert_eq!(id(&entry), Some(server));
        }
        assert_eq!(question(&VirtualServerId::tcp(([0; 8], 443))), None);
        let mark = VirtualServerId::fwmark(Family::V6, NonZeroU32::MIN);
        assert_eq!(question(&mark), None);
        assert_eq!(id(&[0; 12]), None);
    }
}
