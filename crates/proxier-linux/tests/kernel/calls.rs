//! How many system calls a change costs, counted by strace.

use proxier::Kernel;
use proxier::cluster::{Change, Cluster, EndpointSlice};

use crate::programmed;
use crate::trace::{Trace, carry_out, mark};

fn cluster() -> Cluster {
    let mut yaml = String::new();
    for (n, endpoints) in [(1, 3), (2, 3), (3, 1_000)] {
        yaml += &format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\n\
             spec: {{clusterIP: 10.0.0.{n}, ports: [{{port: 80}}]}}\n"
        );
        for part in 0..endpoints / 100 + 1 {
            let here = (part * 100..endpoints).take(100);
            let node = if n == 2 { "node-a" } else { "node-b" };
            let addresses = here.map(|e| {
                let (c, d) = (e / 250, e % 250 + 1);
                format!("- {{addresses: [10.{n}.{c}.{d}], nodeName: {node}}}\n")
            });
            yaml += &format!(
                "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
                 metadata: {{name: s{n}-{part}, labels: {{kubernetes.io/service-name: s{n}}}}}\n\
                 ports: [{{port: 8080}}]\nendpoints:\n{}",
                addresses.collect::<String>()
            );
        }
    }
    let reading = proxier_manifest::read_cluster("calls", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

/// The slice with other addresses for so many of its endpoints.
fn moved(mut slice: EndpointSlice, count: usize) -> EndpointSlice {
    for endpoint in slice.endpoints.iter_mut().take(count) {
        if let std::net::IpAddr::V4(v4) = endpoint.address {
            let [_, b, c, d] = v4.octets();
            endpoint.address = [11, b, c, d].into();
        }
    }
    slice
}

pub(crate) fn a_change_costs_few_system_calls() {
    let cluster = cluster();
    let (mut kernel, mut engine) = programmed(&cluster);
    let slices = cluster.slices;
    assert!(engine.plan().is_empty());

    let trace = Trace::start();
    let small = slices
        .values()
        .find(|slice| &*slice.service == "s1")
        .unwrap();
    engine.change(Change::Slice(Box::new(moved(small.clone(), 1))));
    let one = engine.plan();
    carry_out(&mut kernel, &mut engine, &one);
    for slice in slices.values().filter(|slice| &*slice.service == "s3") {
        engine.change(Change::Slice(Box::new(moved(slice.clone(), 100))));
    }
    let many = engine.plan();
    carry_out(&mut kernel, &mut engine, &many);
    let local = slices
        .values()
        .find(|slice| &*slice.service == "s2")
        .unwrap();
    engine.change(Change::Slice(Box::new(moved(local.clone(), 1))));
    let here = engine.plan();
    carry_out(&mut kernel, &mut engine, &here);
    // Two virtual servers with few destinations that drain, and one with a thousand.
    let mut draining: Vec<_> = engine.draining().collect();
    draining.sort_unstable();
    let small = &draining[..2];
    mark();
    let connections = kernel.connections(small).unwrap();
    mark();
    let counted = trace.end();
    let [
        calls_of_one,
        calls_of_many,
        calls_of_here,
        calls_of_connections,
    ] = counted.as_slice()
    else {
        panic!("{counted:?}");
    };
    assert_eq!(one.len(), 2, "one destination comes, one goes:\n{one}");
    assert!((1..=5).contains(&calls_of_one.len()), "{calls_of_one:?}");
    assert_eq!(many.len(), 2_000);
    assert!((1..40).contains(&calls_of_many.len()), "{calls_of_many:?}");
    // A member of KUBE-LOOP-BACK comes before that, and one goes after it.
    assert_eq!(here.len(), 4, "{here}");
    assert!((1..=9).contains(&calls_of_here.len()), "{calls_of_here:?}");

    // Its destinations are all that is asked of a virtual server: sent, received, and the end of it received.
    assert_eq!(calls_of_connections.len(), 6, "{calls_of_connections:?}");
    assert_eq!(connections.len(), 2);
    assert!(
        connections
            .iter()
            .all(|of_server| of_server.destinations.len() == 4)
    );

    // And all of it came to pass.
    let drained = engine.drained(&kernel.connections(&draining).unwrap());
    assert_eq!(drained.len(), 1_002);
    carry_out(&mut kernel, &mut engine, &drained);
    assert_eq!(engine.draining().count(), 0);
    let observed = kernel.observe().unwrap();
    assert!(proxier::reconcile(&engine.desired(), &observed).is_empty());
    assert!(engine.audit(&observed).is_empty());
}
