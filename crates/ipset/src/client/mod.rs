//! A blocking client of the kernel's ipset.
//!
//! ```no_run
//! use ipset_netlink::message::Mode;
//! use ipset_netlink::{Client, Entry, Family, Protocol, SetName, SetSpec, SetType};
//!
//! let mut client = Client::open()?;
//! let web = SetSpec::hash(SetName::new("web")?, SetType::HASH_IP_PORT, Family::V4);
//! client.create(&web, Mode::Idempotent)?;
//! client.add(web.name, &[Entry::ip_port([10, 0, 0, 1].into(), Protocol::TCP, 80)], Mode::Strict)?;
//! for set in client.list_all()? {
//!     print!("{}", set.set);
//! }
//! # Ok::<(), ipset_netlink::Error>(())
//! ```

mod entries;
mod list;
mod many;
mod replace;
mod retry;
mod sets;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use netlink_batch::{Connection, Header, KernelError, Socket, Transport, uapi as netlink};

pub use crate::client::{
    list::{Item, Listed},
    retry::RetryPolicy,
};
use crate::message::{EntryBatch, Mode, Payload, Reply, Request, TypeInfo};
use crate::uapi::{IPSET_PROTOCOL, IPSET_PROTOCOL_MIN};
use crate::{DecodeError, Error, ErrorKind, Family, Operation, SetSpec, SetType};

/// A connection to the kernel's ipset, in the network namespace that the opening thread was in.
///
/// Every method sends one request and reads its answer, unless it documents more. All need `CAP_NET_ADMIN` in
/// the user namespace that owns the network namespace.
#[derive(Debug)]
pub struct Client<T = Socket> {
    connection: Connection<T>,
    /// The protocol version in use, and the kernel's oldest and newest.
    protocol: u8,
    kernel_protocols: (u8, u8),
    /// The types that the kernel was asked for.
    types: HashMap<(SetType, Option<Family>), TypeInfo>,
    retry_policy: RetryPolicy,
}

impl Client {
    /// Opens a socket and asks for the kernel's protocol versions.
    ///
    /// # Errors
    /// [`Error::NoIpset`] for a kernel without it, [`Error::Netlink`], [`Error::ProtocolVersion`],
    /// and [`Error::Kernel`] with [`ErrorKind::Permission`] without `CAP_NET_ADMIN`.
    pub fn open() -> Result<Self, Error> {
        let connection = Connection::open(netlink::NETLINK_NETFILTER).map_err(|error| {
            if error.lacks_protocol() {
                Error::NoIpset
            } else {
                Error::Netlink {
                    operation: Box::new(Operation::Negotiate),
                    error,
                }
            }
        })?;
        Self::over(connection)
    }
}

impl<T: Transport> Client<T> {
    /// A client over a connection of protocol [`netlink::NETLINK_NETFILTER`], in the
    /// network namespace that it was opened in.
    ///
    /// # Errors
    /// As [`open`](Client::open).
    pub fn over(connection: Connection<T>) -> Result<Self, Error> {
        let mut client = Self {
            connection,
            protocol: IPSET_PROTOCOL,
            kernel_protocols: (0, 0),
            types: HashMap::new(),
            retry_policy: RetryPolicy::default(),
        };
        let (min, max) = client
            .get(&Request::Protocol, |reply| match reply {
                Reply::Protocol { max, min } => Some((min, max)),
                _ => None,
            })
            .map_err(|error| {
                if error.kind() == Some(ErrorKind::Invalid) {
                    Error::NoIpset
                } else {
                    error
                }
            })?;
        client.kernel_protocols = (min, max);
        client.protocol = max.min(IPSET_PROTOCOL);
        if max < IPSET_PROTOCOL_MIN || min > IPSET_PROTOCOL {
            return Err(client.needs_protocol(Operation::Negotiate, IPSET_PROTOCOL));
        }
        Ok(client)
    }

    /// The client with another policy for busy sets.
    #[must_use]
    pub fn with_retry_policy(mut self, retry_policy: RetryPolicy) -> Self {
        self.retry_policy = retry_policy;
        self
    }

    /// The protocol version in use: 6 or 7.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The client with protocol version 6, as older tools use it, even if the kernel has 7. Version 6 has
    /// no indexes of sets.
    #[must_use]
    pub fn with_protocol_6(mut self) -> Self {
        self.protocol = IPSET_PROTOCOL_MIN;
        self
    }

    /// Which revisions of a type the kernel has. Loads its module; asked once for each type and
    /// family.
    ///
    /// # Errors
    /// [`Error::Kernel`] with [`ErrorKind::UnknownType`] where it has none.
    pub fn type_info(
        &mut self,
        set_type: SetType,
        family: impl Into<Option<Family>>,
    ) -> Result<TypeInfo, Error> {
        let family = family.into();
        if let Some(info) = self.types.get(&(set_type, family)) {
            return Ok(*info);
        }
        let request = Request::Type { set_type, family };
        let info = self.get(&request, |reply| match reply {
            Reply::Type(info) => Some(info),
            _ => None,
        })?;
        self.types.insert((set_type, family), info);
        Ok(info)
    }

    /// The request that creates a set, with the newest revision of its type that both the kernel
    /// and this crate know.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`], [`Error::OldRevision`] for options that this kernel would ignore,
    /// and those of [`type_info`](Self::type_info).
    pub fn create_request<'s>(
        &mut self,
        spec: &'s SetSpec,
        mode: Mode,
    ) -> Result<Request<'s>, Error> {
        spec.validate()?;
        let info = self.type_info(spec.set_type, spec.family)?;
        let revision = spec
            .set_type
            .newest_revision()
            .map_or(info.revision, |newest| newest.min(info.revision));
        let missing = spec
            .needed_revision()
            .filter(|(needed, _)| *needed > revision);
        if let Some((needed, option)) = missing {
            return Err(Error::OldRevision {
                set: spec.name,
                set_type: spec.set_type,
                option,
                needed,
                revision,
            });
        }
        Ok(Request::Create {
            spec: Cow::Borrowed(spec),
            revision,
            mode,
        })
    }

    /// Creates a set.
    ///
    /// # Errors
    /// Those of [`create_request`](Self::create_request); [`ErrorKind::SetExists`] if it exists;
    /// with [`Mode::Idempotent`] only if it has another type or other options
    /// ([`SetSpec::same_set`]).
    pub fn create(&mut self, spec: &SetSpec, mode: Mode) -> Result<(), Error> {
        let request = self.create_request(spec, mode)?;
        self.send(&request)
    }

    fn needs_protocol_7(&self, operation: Operation) -> Result<(), Error> {
        if self.protocol < IPSET_PROTOCOL {
            Err(self.needs_protocol(operation, IPSET_PROTOCOL))
        } else {
            Ok(())
        }
    }

    fn needs_protocol(&self, operation: Operation, needed: u8) -> Error {
        let (min, max) = self.kernel_protocols;
        let max = if needed > self.protocol {
            self.protocol
        } else {
            max
        };
        Error::ProtocolVersion {
            operation: Box::new(operation),
            min,
            max,
            needed,
        }
    }

    /// Sends a request that has no reply but its acknowledgement.
    fn send(&mut self, request: &Request<'_>) -> Result<(), Error> {
        let payload = Payload {
            protocol: self.protocol,
            request,
        };
        self.connection
            .request(header_of(request), &payload)
            .map_err(|error| self.error(request, error))
    }

    /// Sends a request and reads its reply.
    fn get<R>(
        &mut self,
        request: &Request<'_>,
        mut read: impl FnMut(Reply<'_>) -> Option<R>,
    ) -> Result<R, Error> {
        let payload = Payload {
            protocol: self.protocol,
            request,
        };
        let result = self
            .connection
            .get(header_of(request), &payload, |message| {
                let reply = Reply::parse(message.message_type, message.payload)?;
                read(reply).ok_or(Failure::Decode(DecodeError::MessageType {
                    message_type: message.message_type,
                }))
            });
        result.map_err(|failure| match failure {
            Failure::Netlink(error) => self.error(request, error),
            Failure::Decode(error) => Error::Decode {
                operation: Box::new(Operation::of(request, None)),
                error,
            },
        })
    }

    /// The error with its meaning for this request. Asks the kernel for the type of the set if the number
    /// depends on it.
    fn error(&mut self, request: &Request<'_>, error: netlink_batch::Error) -> Error {
        let netlink_batch::Error::Kernel(KernelError {
            code,
            message,
            request: echo,
            ..
        }) = error
        else {
            return Error::Netlink {
                operation: Box::new(Operation::of(request, None)),
                error,
            };
        };
        let set_type = match request {
            Request::Create { spec, .. } => Some(spec.set_type),
            _ if ErrorKind::depends_on_type(code) => request
                .set()
                .and_then(|set| self.header(set).ok())
                .map(|info| info.set_type),
            _ => None,
        };
        Error::Kernel {
            operation: Box::new(Operation::of(request, EntryBatch::failed(&echo))),
            kind: ErrorKind::new(code, request.command(), set_type.as_ref()),
            code,
            message,
        }
    }
}

fn header_of(request: &Request<'_>) -> Header {
    Header::new(request.message_type()).with(request.flags())
}

/// What can go wrong while a reply is read.
enum Failure {
    Netlink(netlink_batch::Error),
    Decode(DecodeError),
}

impl From<netlink_batch::Error> for Failure {
    fn from(error: netlink_batch::Error) -> Self {
        Self::Netlink(error)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
