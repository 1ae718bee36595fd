//! Links, addresses, routing rules and routes as plain values.

mod address;
mod label;
mod lifetime;
mod link;
mod mark;
mod name;
mod new_address;
mod node;
mod route;
mod rule;
mod scope;

pub use address::{AddressFlags, AddressProtocol, BoundAddress, host_address};
pub use label::{AddressLabel, AddressLabelError};
pub use lifetime::{Lifetime, Lifetimes};
pub use link::{DUMMY, Link};
pub use mark::{Mark, ParseMarkError};
pub use name::{LinkName, LinkNameError, MAX_NAME_LEN};
pub use new_address::NewAddress;
pub use node::NodeLinks;
pub use route::{LocalRoute, Route, RouteKind, every_address};
pub use rule::{MarkRule, RoutingProtocol, Rule, RuleAction, Table};
pub use scope::AddressScope;
