//! The traits of `netlink-packet-core`, for users of `netlink-proto` and the like.

use netlink_packet_core::{
    Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
};

use crate::DecodeError;
use crate::message::{Payload, Reply, Request};

/// A message of ipset in either direction. It owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IpsetMessage {
    /// To the kernel. The flags [`Request::flags`] belong in the header, beside `NLM_F_REQUEST` and
    /// `NLM_F_ACK`.
    Request {
        /// The version of the protocol: 7, or 6 for older kernels.
        protocol: u8,
        /// What to ask.
        request: Box<Request<'static>>,
    },
    /// From the kernel.
    Reply(Reply<'static>),
}

impl IpsetMessage {
    /// A request in the newest protocol.
    #[must_use]
    pub fn request(request: Request<'static>) -> Self {
        Self::Request {
            protocol: crate::uapi::IPSET_PROTOCOL,
            request: Box::new(request),
        }
    }
}

impl NetlinkSerializable for IpsetMessage {
    fn message_type(&self) -> u16 {
        match self {
            Self::Request { request, .. } => request.message_type(),
            Self::Reply(reply) => reply.message_type(),
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Request { protocol, request } => Payload {
                protocol: *protocol,
                request,
            }
            .buffer_len(),
            Self::Reply(reply) => reply.buffer_len(),
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        match self {
            Self::Request { protocol, request } => Payload {
                protocol: *protocol,
                request,
            }
            .emit(buffer),
            Self::Reply(reply) => reply.emit(buffer),
        }
    }
}

impl NetlinkDeserializable for IpsetMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Reply::parse(header.message_type, payload)
            .map(Reply::into_owned)
            .map(Self::Reply)
    }
}

impl From<IpsetMessage> for NetlinkPayload<IpsetMessage> {
    fn from(message: IpsetMessage) -> Self {
        Self::InnerMessage(message)
    }
}
