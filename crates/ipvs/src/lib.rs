//! IPVS, the Linux kernel's transport-layer load balancer: virtual servers and their destinations,
//! over its generic netlink interface.
//!
#![cfg_attr(feature = "client", doc = "```no_run")]
#![cfg_attr(not(feature = "client"), doc = "```ignore")]
//! use ipvs_netlink::{
//!     Client, Destination, DestinationConfig, Request, Scheduler, VirtualServerConfig,
//!     VirtualServerId,
//! };
//!
//! let mut client = Client::open()?;
//! let id = VirtualServerId::tcp(([10, 0, 0, 1], 80));
//! client.add_service(id, VirtualServerConfig::new(Scheduler::RR))?;
//!
//! // Ten destinations in one system call, each with a result of its own.
//! let requests: Vec<Request> = (1..=10)
//!     .map(|host| Destination {
//!         id: ([10, 1, 0, host], 8080).into(),
//!         config: DestinationConfig::masquerade(1),
//!     })
//!     .map(|destination| Request::NewDestination { service: id, destination })
//!     .collect();
//! for (index, error) in client.apply(&requests).failures() {
//!     eprintln!("{index}: {error}");
//! }
//!
//! for entry in client.table()? {
//!     println!("{} has {} destinations", entry.server.id, entry.destinations.len());
//! }
//! # Ok::<(), ipvs_netlink::Error>(())
//! ```
//!
//! # What is here
//! - the model, at the root: [`VirtualServerId`], [`VirtualServerConfig`], [`DestinationId`],
//!   [`DestinationConfig`], … are what identifies an object and how it is configured, as small
//!   `Copy` values that compare as equal when the kernel does not distinguish them;
//! - [`SaveLine`], a line of `ipvsadm -Sn`, and [`listing`], the tables of `ipvsadm -Ln`;
//! - [`ConnectionEntry`], a line of `/proc/net/ip_vs_conn`, which [`client::connections`] reads, and
//!   [`connection_changes`] between two readings, which [`ConnectionLog`] keeps and [`client::ConnectionMonitor`] makes;
//! - [`Table`] and [`diff`]: a whole table, and the requests that change one into another;
//! - [`message`]: [`Request`] and [`Reply`], with the traits of rust-netlink for use with
//!   `netlink-proto` and `genetlink`. Writing a request allocates nothing;
//! - [`uapi`]: the kernel's constants;
//! - [`client`]: a blocking [`Client`] that sends many requests per system call, and an [`AsyncClient`].
//!
//! Not here: sysctls, loading modules (see [`Error::NotLoaded`]).
//!
//! # Features
//! - `client` (default): [`client`], on the crate `netlink-batch`. Without it the crate is a codec
//!   and has no system calls.
//! - `tokio`: [`AsyncClient`] on a tokio runtime.
//! - `serde`: `Serialize` and `Deserialize` of the model; ids, names and protocols are the text of
//!   `ipvsadm`.
//! - `fuzz`: the bodies of this project's fuzz targets; not for other use.
//!
//! # The kernel's interface and where it is tested
//! Kernel tests (`tests/kernel`, module and function below) run against Linux with `ipvsadm` as the
//! witness, in both directions; captured bytes (`src/message/tests`) are those of both.
//!
//! | command (`IPVS_CMD_*`) | here | kernel test |
//! |---|---|---|
//! | `NEW_SERVICE` | [`Request::NewService`] | `services::ours_are_read_by_ipvsadm` |
//! | `SET_SERVICE` | [`Request::SetService`] | `services::are_changed_in_place` |
//! | `DEL_SERVICE` | [`Request::DeleteService`] | `services::are_got_and_deleted_one_by_one` |
//! | `GET_SERVICE`, one | [`Request::GetService`] | `services::are_got_and_deleted_one_by_one` |
//! | `GET_SERVICE`, all | [`Request::GetServices`] | `services::those_of_ipvsadm_are_read_by_us`, `reading::large_tables_come_whole` |
//! | `NEW_DEST` | [`Request::NewDestination`] | `destinations::ours_are_read_by_ipvsadm` |
//! | `SET_DEST`, `DEL_DEST` | [`Request::SetDestination`], [`Request::DeleteDestination`] | `destinations::are_changed_in_place_and_deleted` |
//! | `GET_DEST` | [`Request::GetDestinations`] | `destinations::those_of_ipvsadm_are_read_by_us`, `reading::no_destinations_and_no_service_are_told_apart` |
//! | `NEW_DAEMON`, `DEL_DAEMON`, `GET_DAEMON` | [`Request::NewDaemon`], [`Request::DeleteDaemon`], [`Request::GetDaemons`] | `daemons::*` |
//! | `SET_CONFIG`, `GET_CONFIG` | [`Request::SetTimeouts`], [`Request::GetTimeouts`] | `settings::timeouts_go_both_ways` |
//! | `GET_INFO` (`SET_INFO`) | [`Request::GetInfo`] | `settings::info_is_what_ipvsadm_says` |
//! | `ZERO` | [`Request::Zero`] | `statistics::are_counted_and_zeroed` |
//! | `FLUSH` | [`Request::Flush`] | `settings::flush_deletes_everything` |
//!
//! | attributes | here | kernel test |
//! |---|---|---|
//! | `SVC_ATTR_AF`, `PROTOCOL`, `ADDR`, `PORT`, `FWMARK` | [`VirtualServerId`] | `services::ours_…`, `services::those_…`, `services::of_other_protocols_are_kept_apart` |
//! | `SVC_ATTR_SCHED_NAME` | [`Scheduler`] | `services::every_scheduler_is_loaded` |
//! | `SVC_ATTR_FLAGS` | [`ServiceFlags`] | `services::ours_…`, `services::are_changed_in_place` |
//! | `SVC_ATTR_TIMEOUT`, `NETMASK` | [`VirtualServerConfig`] | `services::ours_…`, `services::netmasks_with_holes_are_cut_at_the_first` |
//! | `SVC_ATTR_PE_NAME` | [`PersistenceEngine`] | `services::ours_…`, `services::are_changed_in_place` |
//! | `DEST_ATTR_ADDR`, `PORT`, `ADDR_FAMILY` | [`DestinationId`] | `destinations::ours_…`, `destinations::those_…` |
//! | `DEST_ATTR_FWD_METHOD`, `WEIGHT` | [`ForwardingMethod`], [`DestinationConfig`] | the same, `destinations::methods_that_ipvsadm_has_no_option_for` |
//! | `DEST_ATTR_TUN_TYPE`, `TUN_PORT`, `TUN_FLAGS` | [`Tunnel`] | `destinations::ours_…`, `destinations::those_…` |
//! | `DEST_ATTR_U_THRESH`, `L_THRESH` | [`DestinationConfig`] | `destinations::thresholds_go_both_ways` |
//! | `DEST_ATTR_ACTIVE_CONNS`, `INACT_CONNS`, `PERSIST_CONNS` | [`Connections`] | `statistics::are_counted_and_zeroed` |
//! | `SVC_ATTR_STATS64`, `DEST_ATTR_STATS64`, `STATS_ATTR_*` | [`Statistics`] | `statistics::are_counted_and_zeroed` |
//! | `SVC_ATTR_STATS`, `DEST_ATTR_STATS` (32 bits) | [`Statistics`] | none has only these; bytes in `message::tests::faults::replies_of_old_kernels_read_too` |
//! | `DAEMON_ATTR_*` | [`Daemon`] | `daemons::*` |
//! | `CMD_ATTR_TIMEOUT_*` | [`Timeouts`] | `settings::timeouts_go_both_ways` |
//! | `INFO_ATTR_*` | [`Info`] | `settings::info_is_what_ipvsadm_says` |
//!
//! | behaviour | kernel test |
//! |---|---|
//! | error numbers by request | `refusals::*`, `permission::is_asked_for_by_name` |
//! | requests of one `sendmsg` fail alone | `batches::*` |
//! | a dump that changes while it is read | `reading::a_table_that_changes_meanwhile_is_read` |
//! | an empty dump for a missing service | `reading::no_destinations_and_no_service_are_told_apart` |
//! | connections of what is changed, deleted, added again | `behaviour::connections_outlive_…`, `behaviour::a_destination_added_again_has_its_connections_back` |
//! | sockets belong to a network namespace | `behaviour::a_client_stays_in_the_namespace_it_was_opened_in` |
//! | a difference of tables, carried out in one batch | `tables::the_kernel_becomes_what_is_wanted` |
//! | no IPVS in the kernel | `behaviour::a_kernel_without_ipvs_is_told_apart` |
//! | the connection table | `connections::are_those_of_ipvsadm`, `connections::are_followed` |
//! | the tables of `ipvsadm -Ln`, `--stats`, `--rate` | `reading::the_listing_is_that_of_ipvsadm`, `statistics::listings_are_those_of_ipvsadm` |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "client"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the documentation names the client without the feature too"
    )
)]

#[cfg(feature = "client")]
pub mod client;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod message;
mod model;
mod table;
mod text;
pub mod uapi;
mod wire;

#[cfg(feature = "client")]
pub use client::{AsyncClient, Client};
pub use error::{Error, Result};
pub use message::{Message, Reply, Request};
pub use model::{
    Connections, Counters, Daemon, DaemonRole, Destination, DestinationConfig, DestinationId,
    DestinationStatus, ForwardingMethod, Info, InterfaceName, Netmask, PersistenceEngine,
    Scheduler, SchedulerFlags, ServiceFlags, Statistics, TableEntry, Timeouts, Tunnel, TunnelFlags,
    TunnelType, Version, VirtualServer, VirtualServerConfig, VirtualServerId,
};
pub use netlink_wire::{DecodeError, Family, Problem, Protocol};
pub use table::{Table, diff};
pub use text::{
    ConnectionChange, ConnectionEntry, ConnectionLog, SaveLine, connection_changes, listing,
    parse_connections,
};

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
