//! The rtnetlink messages of links, addresses, routing rules and routes.
//!
//! Requests are `netlink-packet-route` types, for users who bring their own transport (`rtnetlink`,
//! `netlink-proto`); the client of this crate sends the same. Each one's description names its message
//! type and flags.
//!
//! [`parse_link`], [`parse_address`], [`parse_rule`] and [`parse_route`] read only the attributes that they return, so that an attribute
//! which a newer kernel has made longer does not disturb them.

mod read;
mod request;
mod routing;

pub use read::{parse_address, parse_link};
pub use request::{
    address_with, all_addresses, all_links, delete_address, link_by_any_name, link_by_index,
    link_by_name, new_address, new_dummy, set_up,
};
pub use routing::{
    all_rules, local_route, mark_rule, parse_route, parse_rule, routes_by, routes_of,
};

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod tests;
