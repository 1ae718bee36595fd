//! What is watched, and how it is asked for.

use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Resource;
use proxier_manifest::list::ListKind;
use serde_json::Value;

use super::item::Item;
use super::scope::Scope;

/// Services that have an address of their own. Headless ones are served by DNS alone. An API server before 1.31 does not
/// know this field (kubernetes/kubernetes#123905) and answers 400. kube-proxy asks for it too, since
/// kubernetes/kubernetes#126769.
const NOT_HEADLESS: &str = "spec.clusterIP!=None";
/// A label that gives a Service, and its slices, to another proxy.
const NO_PROXY_NAME: &str = "!service.kubernetes.io/service-proxy-name";
/// The same, and one that slices of headless Services have. kube-proxy up to v1.34 asked for both with
/// Services too, and so lost one that someone had given the second label by hand
/// (kubernetes/kubernetes#134623).
const NO_PROXY_NAME_NOT_HEADLESS: &str =
    "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless";

/// One of the collections that are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Services,
    Slices,
    /// The Node of this name.
    Node(Box<str>),
    /// All Nodes, of which this is the node's own.
    Nodes(Box<str>),
}

impl Kind {
    /// As Kubernetes calls one of them.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Services => <Service as k8s_openapi::Resource>::KIND,
            Self::Slices => <EndpointSlice as k8s_openapi::Resource>::KIND,
            Self::Node(_) | Self::Nodes(_) => <Node as k8s_openapi::Resource>::KIND,
        }
    }

    /// What its list has to be.
    pub(super) const fn list(&self) -> ListKind {
        match self {
            Self::Services => ListKind::Services,
            Self::Slices => ListKind::EndpointSlices,
            Self::Node(_) | Self::Nodes(_) => ListKind::Nodes,
        }
    }

    /// Where the API server has all of them.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Services => Service::url_path(&(), None),
            Self::Slices => EndpointSlice::url_path(&(), None),
            Self::Node(_) | Self::Nodes(_) => Node::url_path(&(), None),
        }
    }

    pub(super) fn label_selector(&self) -> Option<String> {
        match self {
            Self::Services => Some(NO_PROXY_NAME.into()),
            Self::Slices => Some(NO_PROXY_NAME_NOT_HEADLESS.into()),
            Self::Node(_) | Self::Nodes(_) => None,
        }
    }

    /// What to select by a field. `known`: the server knows the fields that not all servers know.
    pub(super) fn field_selector(&self, known: bool) -> Option<String> {
        match self {
            Self::Services => known.then(|| NOT_HEADLESS.into()),
            Self::Slices | Self::Nodes(_) => None,
            Self::Node(name) => Some(format!("metadata.name={name}")),
        }
    }

    /// Whether it is selected by a field that not all servers know.
    pub(super) const fn has_optional_selector(&self) -> bool {
        matches!(self, Self::Services)
    }

    /// The name of this node's own Node, of the kinds that are Nodes.
    pub(super) fn own(&self) -> Option<&str> {
        match self {
            Self::Services | Self::Slices => None,
            Self::Node(name) | Self::Nodes(name) => Some(name),
        }
    }

    /// Which Nodes these are, if they are Nodes.
    pub(super) const fn scope(&self) -> Option<Scope> {
        match self {
            Self::Services | Self::Slices => None,
            Self::Node(_) => Some(Scope::Own),
            Self::Nodes(_) => Some(Scope::All),
        }
    }

    /// The same, of these Nodes.
    pub(super) fn with_scope(self, scope: Scope) -> Self {
        match (self, scope) {
            (Self::Node(own) | Self::Nodes(own), Scope::Own) => Self::Node(own),
            (Self::Node(own) | Self::Nodes(own), Scope::All) => Self::Nodes(own),
            (other, _) => other,
        }
    }

    /// Whether an object is one that was asked for: a server may not know field selectors.
    pub(super) fn wants(&self, item: &Item<'_>) -> bool {
        match self {
            Self::Services | Self::Slices | Self::Nodes(_) => true,
            Self::Node(name) => item.name() == &**name,
        }
    }

    /// Adds kind and API version to an object, which an item of a list does not have.
    pub(super) fn mark(&self, value: &mut Value) {
        self.list().complete(value);
    }

    /// The field by which an object that was marked says that it is of another kind or API version.
    pub(super) fn contradicts(&self, value: &Value) -> Option<&'static str> {
        let list = self.list();
        let fields = [
            ("kind", list.item_kind()),
            ("apiVersion", list.api_version()),
        ];
        let mut wrong = fields
            .into_iter()
            .filter(|(field, expected)| value.get(field).is_some_and(|found| found != expected));
        wrong.next().map(|(field, _)| field)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(Kind::Services.path(), "/api/v1/services");
        assert_eq!(
            Kind::Slices.path(),
            "/apis/discovery.k8s.io/v1/endpointslices"
        );
        assert_eq!(Kind::Node("a".into()).path(), "/api/v1/nodes");
    }

    #[test]
    fn only_services_have_a_selector_that_a_server_may_not_know() {
        let own = Kind::Node("a".into());
        for kind in [Kind::Services, Kind::Slices, own, Kind::Nodes("a".into())] {
            let differs = kind.field_selector(true) != kind.field_selector(false);
            assert_eq!(differs, kind.has_optional_selector(), "{kind:?}");
        }
    }

    #[test]
    fn an_item_of_a_list_is_told_what_it_is() {
        let mut item = json!({"metadata": {"name": "a"}});
        Kind::Slices.mark(&mut item);
        assert_eq!(item["kind"], "EndpointSlice");
        assert_eq!(item["apiVersion"], "discovery.k8s.io/v1");
        let item = Item::from(item);
        assert!(Kind::Node("a".into()).wants(&item) && !Kind::Node("b".into()).wants(&item));
    }
}
