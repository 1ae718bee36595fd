//! What plans change, and so what signs are looked at around them.

use ipvs_netlink::VirtualServerId;
use proxier::{Operation, Plan};

use super::Parts;
use super::servers::FEW;

/// What plans change: parts of the kernel's state, and which virtual servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    parts: Parts,
    /// Each operation's, where they are few.
    servers: Vec<VirtualServerId>,
    /// Whether they are many, or which they are is not known.
    many: bool,
}

impl Touched {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            parts: Parts::all(),
            servers: Vec::new(),
            many: true,
        }
    }

    /// What a plan changes, or more.
    #[must_use]
    pub fn by(plan: &Plan) -> Self {
        let mut touched = Self::default();
        touched.add(plan);
        touched
    }

    /// Adds what another plan changes.
    pub fn add(&mut self, plan: &Plan) {
        for (_, operation) in plan.iter() {
            self.add_operation(operation);
        }
    }

    fn add_operation(&mut self, operation: &Operation) {
        self.parts |= Parts::of(operation);
        match operation.server() {
            Some(_) if self.many => {}
            Some(server) if self.servers.len() < FEW => self.servers.push(*server),
            None if !self.parts.is_all() => {}
            _ => {
                self.many = true;
                self.servers = Vec::new();
            }
        }
    }

    /// The parts of the kernel's state.
    #[must_use]
    pub const fn parts(&self) -> Parts {
        self.parts
    }

    /// The virtual servers, each once or more; `None` for all.
    pub(super) fn few_servers(&self) -> Option<&[VirtualServerId]> {
        (!self.many).then_some(&*self.servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u8) -> VirtualServerId {
        VirtualServerId::tcp(([10, 96, 0, number], 80))
    }

    fn touched(operations: impl IntoIterator<Item = Operation>) -> Touched {
        let mut touched = Touched::default();
        for operation in operations {
            touched.add_operation(&operation);
        }
        touched
    }

    #[test]
    fn few_virtual_servers_are_named_and_many_are_all() {
        let few = |count: u8| touched((0..count).map(|n| Operation::DeleteServer(server(n))));
        let none = few(0);
        assert_eq!(
            (none.parts(), none.few_servers()),
            (Parts::empty(), Some(&[][..]))
        );
        let two = [server(0), server(1)];
        assert_eq!(few(2).few_servers(), Some(&two[..]));
        let many = few(u8::MAX);
        assert_eq!((many.parts(), many.few_servers()), (Parts::SERVERS, None));
    }

    #[test]
    fn what_may_change_everything_touches_all_virtual_servers() {
        let link = || Operation::CreateLink;
        let server = || Operation::DeleteServer(server(1));
        assert_eq!(touched([server(), link()]), Touched::all());
        assert_eq!(touched([link(), server()]), Touched::all());
    }
}
