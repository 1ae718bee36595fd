//! What happens to a cluster.

use super::{Cluster, EndpointSlice, Node, ObjectName, Service};

/// A change of a [`Cluster`], as a watch of the API reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A Service was added or changed.
    Service(Box<Service>),
    /// A Service is gone.
    ServiceGone(ObjectName),
    /// An EndpointSlice was added or changed.
    Slice(Box<EndpointSlice>),
    /// An EndpointSlice is gone.
    SliceGone(ObjectName),
    /// A Node was added or changed.
    Node(Box<Node>),
    /// A Node is gone.
    NodeGone(Box<str>),
    /// These are all the Services there are.
    Services(Vec<Service>),
    /// These are all the EndpointSlices there are.
    Slices(Vec<EndpointSlice>),
    /// These are all the Nodes there are.
    Nodes(Vec<Node>),
}

impl Cluster {
    /// Takes in a change. Of objects of one name in a list the last one counts.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Service(service) => drop(self.add_service(*service)),
            Change::ServiceGone(name) => drop(self.services.remove(&name)),
            Change::Slice(slice) => match self.slices.get_mut(&slice.name) {
                Some(known) => *known = *slice,
                None => drop(self.add_slice(*slice)),
            },
            Change::SliceGone(name) => drop(self.slices.remove(&name)),
            Change::Node(node) => drop(self.add_node(*node)),
            Change::NodeGone(name) => drop(self.nodes.remove(&name)),
            Change::Services(all) => {
                self.services = all.into_iter().map(|s| (s.name.clone(), s)).collect();
            }
            Change::Slices(all) => {
                self.slices = all.into_iter().map(|s| (s.name.clone(), s)).collect();
            }
            Change::Nodes(all) => {
                self.nodes = all.into_iter().map(|n| (n.name.clone(), n)).collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> Service {
        Service::new(ObjectName::new("default", name), Vec::new())
    }

    #[test]
    fn a_list_is_all_there_is() {
        let mut cluster = Cluster::default();
        cluster.change(Change::Service(Box::new(service("a"))));
        cluster.change(Change::Services(vec![service("b"), service("c")]));
        cluster.change(Change::ServiceGone(ObjectName::new("default", "b")));
        cluster.change(Change::ServiceGone(ObjectName::new(
            "default",
            "unheard-of",
        )));
        let names: Vec<_> = cluster.services.keys().map(ObjectName::name).collect();
        assert_eq!(names, ["c"]);
    }
}
