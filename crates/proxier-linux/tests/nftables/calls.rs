//! How many system calls a change costs, counted by strace.

use proxier::cluster::{Change, Cluster, EndpointSlice, Service};
use proxier::{Config, Engine, Kernel as _, Layout};

use crate::trace::{Trace, carry_out};

/// The most for a Service that comes or goes, whatever it has.
const SERVICE: usize = 6;
/// The most for an endpoint that takes the place of another.
const ENDPOINT: usize = 3;
/// The same on this node: what a pod sends to itself is masqueraded, so that an element changes between the two batches of IPVS.
const ENDPOINT_HERE: usize = 8;

/// A Service with its slices.
#[derive(Clone)]
struct Object {
    service: Service,
    slices: Vec<EndpointSlice>,
}

/// Service number `n` of both families, or of IPv4 alone, with three endpoints of each family, the first on the
/// node, unless `elsewhere`.
fn object(n: usize, dual: bool, elsewhere: bool, spec: &str, status: &str) -> Object {
    let (ips, families) = match dual {
        true => (
            format!("10.96.0.{n}, 'fd00:10:96::{n}'"),
            &[("IPv4", "10.244"), ("IPv6", "fd00:10:244")][..],
        ),
        false => (format!("10.96.0.{n}"), &[("IPv4", "10.244")][..]),
    };
    let names: Vec<_> = families.iter().map(|(name, _)| *name).collect();
    let mut yaml = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\n\
         spec: {{clusterIP: 10.96.0.{n}, clusterIPs: [{ips}], ipFamilies: [{}], {spec}}}\n\
         status: {{loadBalancer: {{ingress: [{status}]}}}}\n",
        names.join(", ")
    );
    for (name, network) in families {
        let separator = if *name == "IPv4" { "." } else { ":" };
        let endpoints: Vec<_> = (1..=3)
            .map(|e| {
                let node = if e == 1 && !elsewhere {
                    "node-a"
                } else {
                    "node-b"
                };
                let pod = format!("{network}{separator}{n}{separator}{e}");
                let pod = match *name {
                    "IPv6" => pod.replace(&format!(":{n}:{e}"), &format!(":{n}::{e}")),
                    _ => pod,
                };
                format!("{{addresses: ['{pod}'], nodeName: {node}}}")
            })
            .collect();
        yaml += &format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: {name}\n\
             metadata: {{name: s{n}-{}, labels: {{kubernetes.io/service-name: s{n}}}}}\n\
             ports: [{{port: 8080}}, {{name: a, port: 8080}}, {{name: b, port: 8081}}]\nendpoints: [{}]\n",
            name.to_lowercase(),
            endpoints.join(", ")
        );
    }
    let reading = proxier_manifest::read_cluster("calls", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let Cluster {
        services, slices, ..
    } = reading.cluster;
    Object {
        service: services.into_values().next().unwrap(),
        slices: slices.into_values().collect(),
    }
}

const DROPPED: &str = "a Service that is dropped inside";

/// From the plainest to one that has a place in nearly all sets, and two virtual servers for most of its ports.
fn kinds() -> Vec<(&'static str, Object)> {
    let plain = "ports: [{port: 80}]";
    let rich = |n: usize| {
        let spec = format!(
            "type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 3200{n}, \
             externalIPs: [203.0.113.{n}, '2001:db8:113::{n}'], loadBalancerSourceRanges: [10.1.0.0/16, 'fd00:1::/32'], \
             ports: [{{name: a, port: 80, nodePort: 3008{n}}}, {{name: b, port: 81, nodePort: 3018{n}}}]"
        );
        let status = format!("{{ip: 198.51.100.{n}}}, {{ip: '2001:db8:100::{n}'}}");
        (spec, status)
    };
    let node_port = "type: NodePort, ports: [{port: 80, nodePort: 30086}]";
    let (spec, status) = rich(7);
    let (others_spec, others_status) = rich(9);
    vec![
        ("a Service of one family", object(3, false, true, plain, "")),
        (
            "a Service of both families",
            object(4, true, true, plain, ""),
        ),
        (
            "a Service with an endpoint here",
            object(5, true, false, plain, ""),
        ),
        (
            "a Service with node ports",
            object(6, true, false, node_port, ""),
        ),
        (
            "a Service with all there is",
            object(7, true, false, &spec, &status),
        ),
        (
            "a Service with all there is and no endpoint here",
            object(9, true, true, &others_spec, &others_status),
        ),
        (
            DROPPED,
            object(
                8,
                true,
                true,
                &format!("internalTrafficPolicy: Local, {plain}"),
                "",
            ),
        ),
    ]
}

fn comes(object: &Object) -> Vec<Change> {
    let slices = object.slices.iter().cloned();
    let slices = slices.map(|slice| Change::Slice(Box::new(slice)));
    let service = Change::Service(Box::new(object.service.clone()));
    [service].into_iter().chain(slices).collect()
}

fn goes(object: &Object) -> Vec<Change> {
    let slices = object.slices.iter().map(|slice| slice.name.clone());
    let service = Change::ServiceGone(object.service.name.clone());
    [service]
        .into_iter()
        .chain(slices.map(Change::SliceGone))
        .collect()
}

/// Another pod in the place of the endpoint at a place of its IPv4 slice, on the same node.
fn replaced(object: &Object, place: usize) -> Vec<Change> {
    let mut slice = object.slices[0].clone();
    let std::net::IpAddr::V4(v4) = slice.endpoints[place].address else {
        panic!("{slice:?}");
    };
    let [a, b, c, d] = v4.octets();
    slice.endpoints[place].address = [a, b, c, d + 100].into();
    vec![Change::Slice(Box::new(slice))]
}

#[allow(clippy::print_stdout, reason = "the counts are what it is about")]
pub(crate) fn of_a_change() {
    let mut kernel = crate::proxy::open(Layout::Nftables);
    let host = kernel.host("node-a").unwrap();
    let mut engine = Engine::new(host, Config::with_layout(Layout::Nftables));
    // There from the start, so that no table has to be written.
    let first = object(1, true, true, "ports: [{port: 80}]", "");
    comes(&first)
        .into_iter()
        .for_each(|change| engine.change(change));
    let plan = engine.audit(&kernel.observe().unwrap());
    carry_out(&mut kernel, &mut engine, &plan);
    assert!(engine.plan().is_empty());

    let mut changes = Vec::new();
    for (what, object) in kinds() {
        let mut change = |name: &str, most, changed| {
            changes.push((format!("{name} {what}"), most, changed));
        };
        change("added:", SERVICE, comes(&object));
        // The last is never on the node, and counts for nothing where the first would have to be.
        if what != DROPPED {
            change("an endpoint replaced:", ENDPOINT, replaced(&object, 2));
            change("and back:", ENDPOINT, comes(&object));
        }
        if object.slices[0].endpoints[0].node.as_deref() == Some("node-a") {
            change(
                "the endpoint here replaced:",
                ENDPOINT_HERE,
                replaced(&object, 0),
            );
            change("and back here:", ENDPOINT_HERE, comes(&object));
        }
        change("removed:", SERVICE, goes(&object));
    }
    let trace = Trace::start();
    let mut sizes = Vec::new();
    for (_, _, changes) in &changes {
        changes
            .iter()
            .cloned()
            .for_each(|change| engine.change(change));
        let plan = engine.plan();
        carry_out(&mut kernel, &mut engine, &plan);
        sizes.push(plan);
    }
    let counted = trace.end();
    assert_eq!(counted.len(), changes.len(), "{counted:?}");
    let mut too_many = Vec::new();
    for (((what, most, _), plan), calls) in changes.iter().zip(&sizes).zip(&counted) {
        println!(
            "{what}: {} operations, {} system calls: {calls:?}",
            plan.len(),
            calls.len()
        );
        assert!(!plan.is_empty() && !calls.is_empty(), "{what}");
        if calls.len() > *most {
            too_many.push(format!("{what}: {calls:?}\n{plan}"));
        }
    }
    assert!(too_many.is_empty(), "{}", too_many.join("\n"));
}
