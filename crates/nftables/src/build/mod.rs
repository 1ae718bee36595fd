//! Rules written as one thinks of them, without registers.
//!
//! ```
//! use nftables_netlink::build::{Body, key};
//! use nftables_netlink::{Family, Name, Rule};
//!
//! // ip daddr . meta l4proto . th dport @services meta mark set meta mark | 0x2000
//! let services = Name::new("services")?;
//! let body = Body::new()
//!     .in_set(&[key::ip_daddr(), key::l4proto(), key::th_dport()], &services)
//!     .mark_or(0x2000);
//! let rule = Rule::new(Family::V4, Name::new("t")?, Name::new("prerouting")?, body);
//! assert_eq!(rule.expressions.0.len(), 7);
//! # Ok::<(), nftables_netlink::NameError>(())
//! ```

mod body;
pub mod key;
mod operand;

pub use body::Body;
pub use key::Key;
pub use operand::Operand;

#[cfg(test)]
mod tests;
