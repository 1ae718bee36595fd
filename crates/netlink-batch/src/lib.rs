//! Many netlink requests in one `sendmsg`, each answered on its own.
//!
//! Netlink lets one datagram carry many requests. The kernel carries them out one by one, whether
//! those before succeeded or not, and answers each. Programs that send one request, wait for its
//! answer, and send the next, spend most of their time on going to the kernel and back. This crate
//! sends a [`Batch`] in as few datagrams as its answers have room for, and reports the result of
//! each request.
//!
//! [`Connection`] blocks and needs no runtime; [`AsyncConnection`] has the same methods for async code.
//! Neither knows a message format but netlink's own: requests are anything that implements
//! [`netlink_packet_core::Emitable`].
//!
//! ```
//! use netlink_batch::{Batch, Bytes, Connection, Header, uapi};
//!
//! const RTM_DELLINK: u16 = 17;
//! const RTM_GETLINK: u16 = 18;
//!
//! let mut connection = Connection::open(uapi::NETLINK_ROUTE)?;
//!
//! // The payload is the caller's: here `struct ifinfomsg` with an index that no link has.
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
//! - The result of each request is the kernel's. If its answer is lost, the result is
//!   [`Error::Unknown`] and never success; a batch whose requests [may be
//!   repeated](Batch::set_idempotent) is asked again instead.
//! - Not more is sent at once than can be answered without overflowing the receive buffer.
//! - No call waits longer than [`Limits::reply_timeout`] without an answer; a dump is tried
//!   [`Limits::attempts`] times.
//! - Late, repeated, reordered and foreign replies are recognised by sequence number and port.
//! - Truncated and malformed replies never panic.
//! - A future that is dropped half way leaves the connection good, and nothing sent half.
//!
//! # One engine, two drivers
//! The engine does no input or output of its own. It is written once, as futures that wait for nothing but an
//! [`AsyncTransport`]: a socket of a runtime, or any blocking [`Transport`], over which they are ready at
//! once and which [`block_on`] drives.
//!
//! # What kernels do, and the test of each
//! In `tests/`: `scripted` has a socket that misbehaves on demand, `this_kernel` and `kernel` real ones.
//!
//! | the kernel | the caller sees | tests |
//! | --- | --- | --- |
//! | refuses some of many requests | [`Error::Kernel`] for these, success for the others | `a_failing_request_fails_alone`, `ten_thousand_requests_each_have_their_result` |
//! | drops replies (`ENOBUFS`) | [`Error::Unknown`], or the answer to asking again | `an_overflowing_receive_buffer_hides_nothing`, `what_may_be_repeated_is_asked_again` |
//! | refuses a long datagram (`EMSGSIZE`, `ENOBUFS`) | nothing: it is split | `a_datagram_that_cannot_be_sent_is_split` |
//! | is interrupted by a signal (`EINTR`) | nothing | `signals_are_nothing` |
//! | does not answer | [`Loss::Timeout`], and no second wait for the rest | `silence_is_bounded_and_typed` |
//! | sends more than the buffer takes | the error number all the same; data is asked for again | `a_cut_error_keeps_its_number`, `cut_data_is_asked_for_again_with_room_for_it` |
//! | answers something earlier, or somebody else | nothing | `a_late_reply_does_not_answer_the_next_request`, `repeated_and_foreign_replies_change_nothing` |
//! | changes what it dumps (`NLM_F_DUMP_INTR`) | [`Dumped::StartOver`] | `a_dump_that_changes_starts_over` |
//! | has no memory to go on with a dump | nothing: it is woken, and asked again | `a_stalled_dump_is_woken` |
//! | allows one dump per socket (`EBUSY`), and pins what it dumps | nothing: dumps are read to their end | `a_broken_off_dump_lets_go` |
//! | forbids all of a datagram with one error (nfnetlink) | `EPERM` for each request | `nfnetlink_forbids_a_datagram_as_a_whole` |
//! | echoes the failing line (ipset) | [`KernelError::request`] | `ipset_says_which_line_failed` |
//! | has replied to a call that was dropped | nothing | `a_dropped_batch_was_sent_window_by_window`, `a_dropped_dump_is_read_to_its_end`, `nothing_dropped_is_taken_for_an_answer` |
//!
//! # Features
//! - `tokio`: `AsyncSocket`, a socket of a tokio runtime.
//! - `scripted`: a kernel that is a closure, to test clients with.
//! - `fuzz`: the bodies of this project's fuzz targets; not for other use.
//!
//! # Not here
//! Reading multicast groups ([`Socket::join`] joins them) and message formats.

#![forbid(unsafe_code)]

mod ack;
#[cfg(feature = "tokio")]
mod async_socket;
mod batch;
mod blocking;
mod connection;
mod dump;
pub mod errno;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod genl;
mod inbox;
mod ledger;
mod limits;
mod message;
mod report;
#[cfg(any(test, feature = "scripted"))]
pub mod scripted;
mod socket;
mod transport;
pub mod uapi;
mod whole;
mod window;

#[cfg(feature = "tokio")]
pub use async_socket::AsyncSocket;
pub use batch::{Batch, Bytes, Header, Payload, Prefixed};
pub use blocking::block_on;
pub use connection::{AsyncConnection, Connection};
pub use dump::Dumped;
pub use error::{Error, KernelError, Loss, Os};
pub use genl::FamilyInfo;
pub use limits::{Acknowledge, Limits};
pub use message::{Malformed, Message, messages};
pub use report::Report;
pub use socket::{Socket, SocketOptions};
pub use transport::{AsyncTransport, SocketInfo, Transport, Wait};
pub use whole::Answers;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
