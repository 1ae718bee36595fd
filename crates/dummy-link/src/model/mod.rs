//! Links, addresses, routing rules and routes as plain values.

mod address;
mod link;
mod mark;
mod name;
mod node;
mod route;
mod rule;

pub use address::{AddressFlags, AddressProtocol, BoundAddress, host_address};
pub use link::{DUMMY, Link};
pub use mark::{Mark, ParseMarkError};
pub use name::{LinkName, LinkNameError, MAX_NAME_LEN};
pub use node::NodeLinks;
pub use route::{LocalRoute, Route, RouteKind, every_address};
pub use rule::{MarkRule, RoutingProtocol, Rule, RuleAction, Table};
