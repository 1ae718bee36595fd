//! A dump of destinations, and a plain walk over its attributes.

/// Destinations in the [dump](destinations).
pub const DESTINATIONS: u32 = 10_000;

/// One destination as the kernel replies: generic netlink header and attributes, captured from Linux
/// 6.1.176 (`strace -xx ipvsadm -Ln` in User Mode Linux).
const REPLY: &str = "\
    050100007c010200140001007f0000010000000000000000000000000600020014e900000800030000000000080004000100\
    000005000d000000000006000e000000000006000f0000000000080005000900000008000600030000000800070000000000\
    0800080003000000080009000100000006000b000200000064000a0008000100030000000800020003000000080003000300\
    000004000b000c000400660000000000000004000b000c000500ba0000000000000008000600000000000800070000000000\
    0800080000000000080009000d00000008000a0017000000a0000c000c000100030000000000000004000b000c0002000300\
    00000000000004000b000c000300030000000000000004000b000c000400660000000000000004000b000c000500ba000000\
    0000000004000b000c000600000000000000000004000b000c000700000000000000000004000b000c000800000000000000\
    000004000b000c0009000d0000000000000004000b000c000a001700000000000000";

/// Where in the reply the address is.
const ADDRESS: usize = 12;

/// Bytes of `struct nlmsghdr` and `struct genlmsghdr`.
const HEADERS: usize = 16 + 4;

/// The messages of a dump, one behind the other: the captured one, with an address of its own each.
#[must_use]
pub fn destinations() -> Vec<u8> {
    some_destinations(DESTINATIONS)
}

/// A dump of so many destinations.
#[must_use]
pub fn some_destinations(count: u32) -> Vec<u8> {
    let mut reply = unhex(REPLY);
    let length = u32::try_from(16 + reply.len()).unwrap_or(u32::MAX);
    let mut dump = Vec::new();
    for n in 0..count {
        if let Some(address) = reply.get_mut(ADDRESS..ADDRESS + 4) {
            address.copy_from_slice(&(0x0a00_0000 + n).to_be_bytes());
        }
        dump.extend_from_slice(&length.to_ne_bytes());
        // Family, NLM_F_MULTI.
        dump.extend_from_slice(&[30, 0, 2, 0]);
        dump.extend_from_slice(&[0; 8]);
        dump.extend_from_slice(&reply);
    }
    dump
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    let pairs = digits.chunks_exact(2);
    pairs
        .filter_map(|pair| pair.first_chunk())
        .map(|[high, low]| high << 4 | low)
        .collect()
}

/// Looks at the header of every attribute of the dump, nested ones included, and adds up what it sees.
#[must_use]
pub fn walk(mut dump: &[u8]) -> u64 {
    let mut sum = 0;
    while let Some(length) = dump.first_chunk() {
        let (message, rest) = dump.split_at(u32::from_ne_bytes(*length) as usize);
        for (_, destination) in attributes(message.get(HEADERS..).unwrap_or_default()) {
            for (kind, value) in attributes(destination) {
                sum += u64::from(kind) + value.len() as u64;
                // IPVS_DEST_ATTR_STATS and IPVS_DEST_ATTR_STATS64.
                if kind == 10 || kind == 12 {
                    for (kind, value) in attributes(value) {
                        sum += u64::from(kind) + value.len() as u64;
                    }
                }
            }
        }
        dump = rest;
    }
    sum
}

/// Type and value of attributes that are trusted to be whole.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}
