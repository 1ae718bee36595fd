//! How each object is laid out in attributes, written and read side by side.

mod daemon;
mod destination;
mod service;
mod settings;
mod statistics;

pub(crate) use daemon::{daemon, daemon_role, put_daemon, put_daemon_role};
pub(crate) use destination::{
    destination, destination_id, destination_status, put_destination, put_destination_id,
    put_destination_status,
};
pub(crate) use service::{
    put_service, put_service_id, put_virtual_server, service, service_id, virtual_server,
};
pub(crate) use settings::{info, put_info, put_timeouts, timeouts};
