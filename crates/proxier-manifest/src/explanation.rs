//! Explanations as JSON.

use proxier::cluster::{Family, ServiceType, TrafficPolicy};
use proxier::explain::{
    Explanation, Finding, Frontend, OptionAnswer, Part, PartState, Path, PortAnswer,
};
use serde_json::{Value, json};

/// An explanation as JSON.
///
/// | key | what |
/// |---|---|
/// | `question`, `layout` | what was asked, and of which layout |
/// | `served` | whether nothing is wrong |
/// | `findings` | what is wrong, the cause first: `cause` is its name, `text` the sentence |
/// | `ports` | each Service port, with `endpoints`, `parts` and `frontends`; these have `parts` and `paths` |
/// | `shared` | the parts that all Services share |
///
/// A part is something that the kernel should hold; its `state` is `present`, `missing`, `differs`, `draining` or
/// `unwanted`.
#[must_use]
pub fn explanation_json(explanation: &Explanation) -> Value {
    let Explanation {
        question,
        layout,
        findings,
        ports,
        shared,
        ..
    } = explanation;
    json!({
        "question": question.to_string(),
        "layout": layout.as_str(),
        "served": explanation.is_served(),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "ports": ports.iter().map(port).collect::<Vec<_>>(),
        "shared": parts(shared),
    })
}

fn finding(finding: &Finding) -> Value {
    let service = finding.port.as_ref();
    json!({
        "cause": finding.cause.name(),
        "service": service.map(|(service, _)| service.to_string()),
        "port": service.map(|(_, port)| &**port),
        "at": finding.place(),
        "text": finding.to_string(),
    })
}

fn port(port: &PortAnswer) -> Value {
    let endpoints = port.endpoints.iter().map(|endpoint| {
        json!({
            "endpoint": endpoint.id.to_string(),
            "node": endpoint.node.as_deref(),
            "local": endpoint.local,
            "ready": endpoint.ready,
            "serving": endpoint.serving,
            "terminating": endpoint.terminating,
            "weight": endpoint.weight,
        })
    });
    json!({
        "service": port.service.to_string(),
        "name": &*port.name,
        "protocol": port.protocol.to_string(),
        "port": port.number,
        "nodePort": port.node_port,
        "family": match port.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        },
        "type": match port.service_type {
            ServiceType::NodePort => "NodePort",
            ServiceType::LoadBalancer => "LoadBalancer",
            ServiceType::ExternalName => "ExternalName",
            _ => "ClusterIP",
        },
        "internalTrafficPolicy": policy(port.internal_policy),
        "externalTrafficPolicy": policy(port.external_policy),
        "affinitySeconds": port.affinity_seconds,
        "options": port.options.iter().map(option).collect::<Vec<_>>(),
        "endpoints": endpoints.collect::<Vec<_>>(),
        "parts": parts(&port.parts),
        "frontends": port.frontends.iter().map(frontend).collect::<Vec<_>>(),
    })
}

fn option(option: &OptionAnswer) -> Value {
    json!({
        "annotation": option.option.annotation(),
        "value": option.value,
        "noEffect": option.unused.map(|reason| reason.to_string()),
    })
}

const fn policy(policy: TrafficPolicy) -> &'static str {
    match policy {
        TrafficPolicy::Local => "Local",
        _ => "Cluster",
    }
}

fn frontend(frontend: &Frontend) -> Value {
    let ranges = frontend.source_ranges.as_ref();
    let ranges = ranges.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
    json!({
        "at": frontend.place(),
        "kind": frontend.kind.as_str(),
        "granted": frontend.granted,
        "sourceRanges": ranges,
        "parts": parts(&frontend.parts),
        "paths": frontend.paths.iter().map(path).collect::<Vec<_>>(),
    })
}

fn path(path: &Path) -> Value {
    json!({
        "from": path.from.as_str(),
        "outcome": path.outcome.as_str(),
        "steps": path.steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn parts(parts: &[Part]) -> Vec<Value> {
    parts.iter().map(part).collect()
}

fn part(part: &Part) -> Value {
    let found = match &part.state {
        PartState::Differs(found) => Some(found),
        _ => None,
    };
    let mut value = json!({
        "subject": part.subject,
        "text": part.text,
        "state": part.state.as_str(),
    });
    if let Some(fields) = value.as_object_mut() {
        if let Some(found) = found {
            fields.insert("found".to_owned(), json!(found));
        }
        if let Some(connections) = &part.connections {
            let (active, inactive) = (connections.active, connections.inactive);
            fields.insert(
                "connections".to_owned(),
                json!({"active": active, "inactive": inactive}),
            );
        }
    }
    value
}
