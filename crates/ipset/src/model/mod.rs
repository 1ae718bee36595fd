//! The model: sets, their types and options, entries, and what the kernel would refuse of them.

mod comment;
mod element;
mod entry;
mod name;
mod number;
mod reserved;
mod revision;
#[cfg(feature = "serde")]
mod serde;
mod set;
mod set_type;
mod spec;

pub use crate::model::{
    comment::Comment,
    element::{Addresses, Element, Interface, MacAddr, PortRange, Ports},
    entry::{Counters, Entry, EntryOptions, Position, SkbInfo},
    name::{InterfaceName, SetName},
    set::{Set, Usage},
    set_type::{Dimension, Method, SetType},
    spec::{BitmapRange, CreateOptions, MAX_TIMEOUT, SetSpec},
};
pub(crate) use crate::model::{
    element::{Inet, parse_mark},
    number::parse_number,
    reserved::GlobalOption,
};
