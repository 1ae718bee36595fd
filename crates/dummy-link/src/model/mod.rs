//! Links and addresses as plain values.

mod address;
mod link;
mod name;
mod node;

pub use address::{AddressFlags, AddressProtocol, BoundAddress, host_address};
pub use link::{DUMMY, Link};
pub use name::{LinkName, LinkNameError, MAX_NAME_LEN};
pub use node::NodeLinks;
