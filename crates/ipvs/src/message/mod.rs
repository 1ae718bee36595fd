//! Typed messages: requests to the kernel and its replies.
//!
//! They implement the traits of rust-netlink, so that they also work over `netlink-proto` and
//! `genetlink`: there, `GenlMessage<Message>` is both what is sent ([`Message::Request`]) and what
//! comes back ([`Message::Reply`]).

mod reply;
mod request;
#[cfg(test)]
mod tests;

use netlink_packet_core::{Emitable, ParseableParametrized};
use netlink_packet_generic::{GenlFamily, GenlHeader};
use netlink_wire::DecodeError;

use crate::uapi::{IPVS_GENL_NAME, IPVS_GENL_VERSION};

pub use reply::Reply;
pub use request::Request;

/// A message in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// To the kernel.
    Request(Request),
    /// From the kernel; all that is parsed as a `Message` is one.
    Reply(Reply),
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Reply> for Message {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        match self {
            Self::Request(request) => request.buffer_len(),
            Self::Reply(reply) => reply.buffer_len(),
        }
    }

    fn emit(&self, buffer: &mut [u8]) {
        match self {
            Self::Request(request) => request.emit(buffer),
            Self::Reply(reply) => reply.emit(buffer),
        }
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    /// A message of the kernel.
    fn parse_with_param(
        payload: &[u8],
        header: GenlHeader,
    ) -> Result<Self, netlink_packet_core::DecodeError> {
        Reply::parse_with_param(payload, header).map(Self::Reply)
    }
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        IPVS_GENL_NAME
    }

    fn command(&self) -> u8 {
        match self {
            Self::Request(request) => request.command(),
            Self::Reply(reply) => reply.command(),
        }
    }

    fn version(&self) -> u8 {
        IPVS_GENL_VERSION
    }
}

/// The traits that requests and replies have alike.
macro_rules! netlink_message {
    ($type:ident, $new:ident) => {
        impl Emitable for $type {
            fn buffer_len(&self) -> usize {
                netlink_wire::measure(|writer| self.encode(writer))
            }

            fn emit(&self, buffer: &mut [u8]) {
                self.encode(&mut Writer::$new(buffer));
            }
        }

        impl ParseableParametrized<[u8], GenlHeader> for $type {
            fn parse_with_param(
                payload: &[u8],
                header: GenlHeader,
            ) -> Result<Self, netlink_packet_core::DecodeError> {
                Self::decode(header.cmd, payload).map_err(crate::message::foreign)
            }
        }

        impl GenlFamily for $type {
            fn family_name() -> &'static str {
                IPVS_GENL_NAME
            }

            fn command(&self) -> u8 {
                self.number()
            }

            fn version(&self) -> u8 {
                IPVS_GENL_VERSION
            }
        }
    };
}
use netlink_message;

/// Our error as that of rust-netlink, which is text.
fn foreign(error: DecodeError) -> netlink_packet_core::DecodeError {
    error.to_string().into()
}
