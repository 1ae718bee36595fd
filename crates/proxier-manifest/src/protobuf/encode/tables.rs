//! The fields of the messages, in the order of their numbers, which is the order in which Go writes them.
//!
//! From `core/v1/generated.proto` and `discovery/v1/generated.proto` of github.com/kubernetes/api at 10b39a39
//! (v0.37.0-beta.0), and `pkg/apis/meta/v1/generated.proto` of github.com/kubernetes/apimachinery. Which fields are pointers
//! is in the `types.go` beside them. Services, EndpointSlices and metadata are here whole; Nodes as far as proxies read them.

use super::Field;
use super::Shape::{
    Flag, FlagSet, Map, Message, MessageSet, Number, NumberSet, Port, Raw, Text, TextSet, Time,
    TimeSet,
};

/// The table of a kind.
pub(super) fn of(kind: &str) -> &'static [Field] {
    match kind {
        "Service" => SERVICE,
        "EndpointSlice" => ENDPOINT_SLICE,
        "Node" => NODE,
        "Status" => STATUS,
        _ => &[],
    }
}

pub(super) const LIST_META: &[Field] = &[
    ("selfLink", 1, Text),
    ("resourceVersion", 2, Text),
    ("continue", 3, Text),
    ("remainingItemCount", 4, NumberSet),
];

const STATUS: &[Field] = &[
    ("metadata", 1, Message(LIST_META)),
    ("status", 2, Text),
    ("message", 3, Text),
    ("reason", 4, Text),
    ("code", 6, Number),
];

const OBJECT_META: &[Field] = &[
    ("name", 1, Text),
    ("generateName", 2, Text),
    ("namespace", 3, Text),
    ("selfLink", 4, Text),
    ("uid", 5, Text),
    ("resourceVersion", 6, Text),
    ("generation", 7, Number),
    ("creationTimestamp", 8, Time),
    ("deletionTimestamp", 9, TimeSet),
    ("deletionGracePeriodSeconds", 10, NumberSet),
    ("labels", 11, Map),
    ("annotations", 12, Map),
    ("ownerReferences", 13, MessageSet(OWNER_REFERENCE)),
    ("finalizers", 14, TextSet),
    ("managedFields", 17, MessageSet(MANAGED_FIELDS)),
];

const OWNER_REFERENCE: &[Field] = &[
    ("kind", 1, Text),
    ("name", 3, Text),
    ("uid", 4, Text),
    ("apiVersion", 5, Text),
    ("controller", 6, FlagSet),
    ("blockOwnerDeletion", 7, FlagSet),
];

const MANAGED_FIELDS: &[Field] = &[
    ("manager", 1, Text),
    ("operation", 2, Text),
    ("apiVersion", 3, Text),
    ("time", 4, TimeSet),
    ("fieldsType", 6, Text),
    ("fieldsV1", 7, Raw),
    ("subresource", 8, Text),
];

const SERVICE: &[Field] = &[
    ("metadata", 1, Message(OBJECT_META)),
    ("spec", 2, Message(SERVICE_SPEC)),
    ("status", 3, Message(SERVICE_STATUS)),
];

const SERVICE_SPEC: &[Field] = &[
    ("ports", 1, MessageSet(SERVICE_PORT)),
    ("selector", 2, Map),
    ("clusterIP", 3, Text),
    ("type", 4, Text),
    ("externalIPs", 5, TextSet),
    ("sessionAffinity", 7, Text),
    ("loadBalancerIP", 8, Text),
    ("loadBalancerSourceRanges", 9, TextSet),
    ("externalName", 10, Text),
    ("externalTrafficPolicy", 11, Text),
    ("healthCheckNodePort", 12, Number),
    ("publishNotReadyAddresses", 13, Flag),
    ("sessionAffinityConfig", 14, MessageSet(AFFINITY_CONFIG)),
    ("ipFamilyPolicy", 17, TextSet),
    ("clusterIPs", 18, TextSet),
    ("ipFamilies", 19, TextSet),
    ("allocateLoadBalancerNodePorts", 20, FlagSet),
    ("loadBalancerClass", 21, TextSet),
    ("internalTrafficPolicy", 22, TextSet),
    ("trafficDistribution", 23, TextSet),
];

const SERVICE_PORT: &[Field] = &[
    ("name", 1, Text),
    ("protocol", 2, Text),
    ("port", 3, Number),
    ("targetPort", 4, Port),
    ("nodePort", 5, Number),
    ("appProtocol", 6, TextSet),
];

const AFFINITY_CONFIG: &[Field] = &[("clientIP", 1, MessageSet(CLIENT_IP))];
const CLIENT_IP: &[Field] = &[("timeoutSeconds", 1, NumberSet)];

const SERVICE_STATUS: &[Field] = &[
    ("loadBalancer", 1, Message(LOAD_BALANCER)),
    ("conditions", 2, MessageSet(CONDITION)),
];
const LOAD_BALANCER: &[Field] = &[("ingress", 1, MessageSet(INGRESS))];

const INGRESS: &[Field] = &[
    ("ip", 1, Text),
    ("hostname", 2, Text),
    ("ipMode", 3, TextSet),
    ("ports", 4, MessageSet(PORT_STATUS)),
];

const PORT_STATUS: &[Field] = &[
    ("port", 1, Number),
    ("protocol", 2, Text),
    ("error", 3, TextSet),
];

const CONDITION: &[Field] = &[
    ("type", 1, Text),
    ("status", 2, Text),
    ("observedGeneration", 3, Number),
    ("lastTransitionTime", 4, Time),
    ("reason", 5, Text),
    ("message", 6, Text),
];

const ENDPOINT_SLICE: &[Field] = &[
    ("metadata", 1, Message(OBJECT_META)),
    ("endpoints", 2, MessageSet(ENDPOINT)),
    ("ports", 3, MessageSet(ENDPOINT_PORT)),
    ("addressType", 4, Text),
];

const ENDPOINT: &[Field] = &[
    ("addresses", 1, TextSet),
    ("conditions", 2, Message(CONDITIONS)),
    ("hostname", 3, TextSet),
    ("targetRef", 4, MessageSet(OBJECT_REFERENCE)),
    ("deprecatedTopology", 5, Map),
    ("nodeName", 6, TextSet),
    ("zone", 7, TextSet),
    ("hints", 8, MessageSet(HINTS)),
];

const CONDITIONS: &[Field] = &[
    ("ready", 1, FlagSet),
    ("serving", 2, FlagSet),
    ("terminating", 3, FlagSet),
];

const OBJECT_REFERENCE: &[Field] = &[
    ("kind", 1, Text),
    ("namespace", 2, Text),
    ("name", 3, Text),
    ("uid", 4, Text),
    ("apiVersion", 5, Text),
    ("resourceVersion", 6, Text),
    ("fieldPath", 7, Text),
];

const HINTS: &[Field] = &[
    ("forZones", 1, MessageSet(NAMED)),
    ("forNodes", 2, MessageSet(NAMED)),
];
const NAMED: &[Field] = &[("name", 1, Text)];

const ENDPOINT_PORT: &[Field] = &[
    ("name", 1, TextSet),
    ("protocol", 2, TextSet),
    ("port", 3, NumberSet),
    ("appProtocol", 4, TextSet),
];

const NODE: &[Field] = &[
    ("metadata", 1, Message(OBJECT_META)),
    ("spec", 2, Message(NODE_SPEC)),
    ("status", 3, Message(NODE_STATUS)),
];

const NODE_SPEC: &[Field] = &[
    ("podCIDR", 1, Text),
    ("externalID", 2, Text),
    ("providerID", 3, Text),
    ("unschedulable", 4, Flag),
    ("taints", 5, MessageSet(TAINT)),
    ("podCIDRs", 7, TextSet),
];

const TAINT: &[Field] = &[
    ("key", 1, Text),
    ("value", 2, Text),
    ("effect", 3, Text),
    ("timeAdded", 4, TimeSet),
];

const NODE_STATUS: &[Field] = &[
    ("phase", 3, Text),
    ("addresses", 5, MessageSet(NODE_ADDRESS)),
];

const NODE_ADDRESS: &[Field] = &[("type", 1, Text), ("address", 2, Text)];
