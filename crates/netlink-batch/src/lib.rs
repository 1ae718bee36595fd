//! Many netlink requests in one `sendmsg`, each answered on its own.
//!
//! Netlink lets one datagram carry many requests. The kernel carries them out one by one, whether
//! those before succeeded or not, and answers each. Programs that send one request, wait for its
//! answer, and send the next, spend most of their time on going to the kernel and back. This crate
//! sends a [`Batch`] in as few datagrams as its answers have room for, and reports the result of
//! each request.
//!
//! It is blocking, needs no runtime, and knows no message format but netlink's own: requests are
//! anything that implements [`netlink_packet_core::Emitable`].
//!
//! ```
//! use netlink_batch::{Batch, Bytes, Connection, Header, uapi};
//!
//! const RTM_DELLINK: u16 = 17;
//! const RTM_GETLINK: u16 = 18;
//!
//! let mut connection = Connection::open(uapi::NETLINK_ROUTE)?;
//!
//! // What a request says is the caller's: here `struct ifinfomsg` with an index no link has.
//! let mut no_such_link = [0; 16];
//! no_such_link[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
//! let mut batch = Batch::new();
//! batch.push(Header::new(RTM_GETLINK), &Bytes(&no_such_link));
//! batch.push(Header::new(RTM_DELLINK), &Bytes(&no_such_link));
//! let report = connection.execute(&mut batch);
//! for (request, error) in report.failures() {
//!     println!("request {request}: {error}");
//! }
//! assert_eq!(report.failures().count(), 2);
//!
//! // All links, streamed, read again if they changed meanwhile.
//! let links = connection.dump_all(Header::dump(RTM_GETLINK), &Bytes(&[0; 16]), |message| {
//!     Ok::<_, netlink_batch::Error>(Some(message.payload.len()))
//! })?;
//! assert!(!links.is_empty());
//! # Ok::<(), netlink_batch::Error>(())
//! ```
//!
//! # What is promised
//! - The result of each request is the kernel's. Where its answer is lost, the result says
//!   [`Error::Unknown`] and never success; a batch whose requests [may be
//!   repeated](Batch::set_idempotent) is asked again instead.
//! - Not more is sent at once than can be answered without overflowing the receive buffer.
//! - No call waits longer than [`Limits::reply_timeout`] without an answer; a dump is tried
//!   [`Limits::attempts`] times.
//! - Late, repeated, reordered and foreign replies are told apart by sequence number and port.
//! - Truncated and malformed replies never panic.
//!
//! # Not here
//! Multicast groups, message formats, asynchronous input and output: with tokio, take the messages
//! to `netlink-proto`.

#![forbid(unsafe_code)]

mod ack;
mod batch;
mod connection;
mod dump;
pub mod errno;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod genl;
mod inbox;
mod ledger;
mod message;
mod report;
mod socket;
mod transport;
pub mod uapi;
mod window;

pub use batch::{Batch, Bytes, Header, Payload, Prefixed};
pub use connection::{Acknowledge, Connection, Limits};
pub use dump::Dumped;
pub use error::{Error, KernelError, Loss, Os};
pub use genl::Family;
pub use message::{Malformed, Message, messages};
pub use report::Report;
pub use socket::{Socket, SocketOptions};
pub use transport::Transport;
