//! Attributes of IPVS as they are on the wire, read and written through [`netlink_wire`].

mod layout;
mod value;

pub(crate) use layout::{
    daemon, daemon_role, destination, destination_id, destination_status, info, put_daemon,
    put_daemon_role, put_destination, put_destination_id, put_destination_status, put_info,
    put_service, put_service_id, put_timeouts, put_virtual_server, service, service_id, timeouts,
    virtual_server,
};
pub(crate) use value::{
    UnionAddress, address, counter, family, name, optional_name, put_address, put_family,
};
