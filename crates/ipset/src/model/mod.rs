//! The model: sets, their types and options, entries, and what the kernel would refuse of them.

mod element;
mod entry;
mod family;
mod inline;
mod name;
mod protocol;
mod revision;
mod set;
mod set_type;
mod spec;

pub use crate::model::{
    element::{Addresses, Element, Interface, MacAddr, PortRange, Ports},
    entry::{Counters, Entry, EntryOptions, Position, SkbInfo},
    family::Family,
    name::{InterfaceName, SetName},
    protocol::Protocol,
    set::{Set, Usage},
    set_type::{Dimension, Method, SetType},
    spec::{BitmapRange, CreateOptions, MAX_TIMEOUT, SetSpec},
};
pub(crate) use crate::model::{
    element::{Inet, parse_mark},
    entry::MAX_COMMENT,
};
