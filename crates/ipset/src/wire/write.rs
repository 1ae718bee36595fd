//! Writing attributes.
//!
//! What is written is described once, over [`Sink`]: [`Count`] measures it, [`Fill`] writes it into
//! the caller's buffer. Lengths of nests are filled in from what was written.

use std::net::IpAddr;

use crate::uapi::{
    IPSET_ATTR_IPADDR_IPV4, IPSET_ATTR_IPADDR_IPV6, NLA_F_NESTED, NLA_F_NET_BYTEORDER,
};

/// Bytes of an attribute's header.
const HEADER: usize = 4;

/// Where bytes go.
pub(crate) trait Sink {
    /// Appends bytes.
    fn bytes(&mut self, bytes: &[u8]);

    /// How many bytes there are.
    fn position(&self) -> usize;

    /// Overwrites two bytes from `at` on.
    fn patch(&mut self, at: usize, bytes: [u8; 2]);

    /// An attribute whose value `value` writes.
    fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Self))
    where
        Self: Sized,
    {
        let start = self.position();
        self.bytes(&[0; 2]);
        self.bytes(&kind.to_ne_bytes());
        value(self);
        let length = self.position() - start;
        // Nests stay below 64 KiB: `EntryBatch` sees to it.
        self.patch(
            start,
            u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes(),
        );
        self.bytes(
            [0; HEADER]
                .get(..length.wrapping_neg() % HEADER)
                .unwrap_or_default(),
        );
    }

    /// A nest of attributes.
    fn nest(&mut self, kind: u16, attributes: impl FnOnce(&mut Self))
    where
        Self: Sized,
    {
        self.attribute(kind | NLA_F_NESTED, attributes);
    }

    fn u8(&mut self, kind: u16, value: u8)
    where
        Self: Sized,
    {
        self.attribute(kind, |sink| sink.bytes(&[value]));
    }

    fn be16(&mut self, kind: u16, value: u16)
    where
        Self: Sized,
    {
        self.attribute(kind | NLA_F_NET_BYTEORDER, |sink| {
            sink.bytes(&value.to_be_bytes());
        });
    }

    fn be32(&mut self, kind: u16, value: u32)
    where
        Self: Sized,
    {
        self.attribute(kind | NLA_F_NET_BYTEORDER, |sink| {
            sink.bytes(&value.to_be_bytes());
        });
    }

    fn be64(&mut self, kind: u16, value: u64)
    where
        Self: Sized,
    {
        self.attribute(kind | NLA_F_NET_BYTEORDER, |sink| {
            sink.bytes(&value.to_be_bytes());
        });
    }

    /// Text with the NUL that ends it.
    fn text(&mut self, kind: u16, value: &str)
    where
        Self: Sized,
    {
        self.attribute(kind, |sink| {
            sink.bytes(value.as_bytes());
            sink.bytes(&[0]);
        });
    }

    /// An address: a nest around one of its family.
    fn ip(&mut self, kind: u16, ip: IpAddr)
    where
        Self: Sized,
    {
        self.nest(kind, |sink| match ip {
            IpAddr::V4(ip) => {
                sink.attribute(IPSET_ATTR_IPADDR_IPV4 | NLA_F_NET_BYTEORDER, |sink| {
                    sink.bytes(&ip.octets());
                });
            }
            IpAddr::V6(ip) => {
                sink.attribute(IPSET_ATTR_IPADDR_IPV6 | NLA_F_NET_BYTEORDER, |sink| {
                    sink.bytes(&ip.octets());
                });
            }
        });
    }
}

/// Measures.
#[derive(Default)]
pub(crate) struct Count(usize);

impl Sink for Count {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn position(&self) -> usize {
        self.0
    }

    fn patch(&mut self, _at: usize, _bytes: [u8; 2]) {}
}

/// Writes into a buffer; what does not fit is left out, which the measured length shows.
pub(crate) struct Fill<'a> {
    buffer: &'a mut [u8],
    position: usize,
}

impl<'a> Fill<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            position: 0,
        }
    }
}

impl Sink for Fill<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let end = self.position + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.position..end) {
            room.copy_from_slice(bytes);
        }
        self.position = end;
    }

    fn position(&self) -> usize {
        self.position
    }

    fn patch(&mut self, at: usize, bytes: [u8; 2]) {
        if let Some(room) = self.buffer.get_mut(at..at + 2) {
            room.copy_from_slice(&bytes);
        }
    }
}
