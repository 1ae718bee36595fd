//! What is taken in of Nodes.

use std::collections::BTreeMap;

use super::super::super::Event;
use super::super::item::Item;
use super::Intake;
use proxier::cluster::{Change, Node};
use proxier_manifest::Object;

/// The taint of a Node that is about to go, which load balancers should learn of.
pub(super) const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

impl Intake {
    /// The Node of a list, if it is another than before.
    pub(super) fn node_list(&mut self, nodes: Vec<Option<Node>>, usable: bool) -> Vec<Change> {
        let node = nodes.into_iter().flatten().next();
        if self.listed_once && (!usable || node == self.node) {
            return Vec::new();
        }
        self.node.clone_from(&node);
        vec![Change::Nodes(node.into_iter().collect())]
    }

    /// All Nodes of a list, if one of them is another than before.
    pub(super) fn all_nodes(&mut self, nodes: Vec<Option<Node>>) -> Vec<Change> {
        let nodes: Vec<_> = nodes.into_iter().flatten().collect();
        let is_own = |node: &&Node| self.kind.own() == Some(&*node.name);
        let own = nodes.iter().find(is_own).cloned();
        let others = nodes.iter().filter(|node| !is_own(node));
        let others: BTreeMap<_, _> = others
            .map(|node| (node.name.clone(), node.addresses.clone()))
            .collect();
        if self.listed_once && own == self.node && others == self.others {
            return Vec::new();
        }
        (self.node, self.others) = (own, others);
        vec![Change::Nodes(nodes)]
    }

    /// Kubelets update their Nodes every few seconds, mostly in what is of no concern here.
    pub(super) fn is_news(&mut self, object: &Object) -> bool {
        let Object::Node(node) = object else {
            return true;
        };
        if self.kind.own() != Some(&*node.name) {
            let addresses = node.addresses.clone();
            let before = self.others.insert(node.name.clone(), addresses);
            return before.as_ref() != Some(&node.addresses);
        }
        if self.node.as_ref() == Some(&**node) {
            return false;
        }
        self.node = Some((**node).clone());
        true
    }

    pub(super) fn set_deleting(&mut self, deleting: bool) -> Option<Event> {
        (self.deleting.replace(deleting) != Some(deleting)).then_some(Event::NodeDeleting(deleting))
    }

    /// Of other Nodes only their addresses count.
    pub(super) fn reduced(&self, object: Object) -> Object {
        match object {
            Object::Node(node) if self.kind.own() != Some(&*node.name) => {
                let addresses = node.addresses;
                Object::Node(Box::new(Node::new(node.name).with_addresses(addresses)))
            }
            object => object,
        }
    }
}

/// As kube-proxy sees it: by the taint's key, or because its deletion was asked for.
pub(super) fn is_deleting(node: &Item<'_>) -> bool {
    node.has_taint(TO_BE_DELETED) || node.is_being_deleted()
}
