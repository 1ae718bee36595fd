//! Signs of others' changes, around a plan that changes few of many virtual servers.

use kernel_test::cmd;
use proxier::cluster::{Change, Cluster, EndpointSlice};
use proxier::{Engine, Kernel, Plan};
use proxier_linux::{LinuxKernel, Parts, Touched};

use crate::programmed;
use crate::trace::{Trace, carry_out, mark};

const SERVICES: u8 = 40;

fn cluster() -> Cluster {
    let services = (0..SERVICES).map(|n| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\n\
             spec: {{clusterIP: 10.96.0.{n}, ports: [{{port: 80}}]}}\n\
             ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
             metadata: {{name: s{n}, labels: {{kubernetes.io/service-name: s{n}}}}}\n\
             ports: [{{port: 8080}}]\nendpoints: [{{addresses: [10.1.0.{n}]}}]\n"
        )
    });
    let reading = proxier_manifest::read_cluster("signs", services.collect::<String>().as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

/// A plan that adds an endpoint to a slice.
fn another_endpoint(engine: &mut Engine, slice: &EndpointSlice) -> Plan {
    let mut slice = slice.clone();
    let mut endpoint = slice.endpoints[0].clone();
    endpoint.address = [10, 2, 0, 1].into();
    slice.endpoints.push(endpoint);
    engine.change(Change::Slice(Box::new(slice)));
    engine.plan()
}

/// The sign of the virtual servers, after a look at those that are touched.
fn sign(kernel: &mut LinuxKernel, touched: &Touched) -> u64 {
    kernel.signs(touched).servers.unwrap()
}

pub(crate) fn a_few_virtual_servers_are_looked_at_by_themselves() {
    let cluster = cluster();
    let (mut kernel, mut engine) = programmed(&cluster);
    let slices = cluster.slices;
    // A server by firewall mark is one of somebody's.
    cmd("ipvsadm -A -f 7 -s rr");
    let all = Touched::all();
    let before = sign(&mut kernel, &all);

    let slice = |number: usize| slices.values().nth(number).unwrap();
    let plan = another_endpoint(&mut engine, slice(0));
    let touched = Touched::by(&plan);
    assert_eq!((touched.parts(), plan.len()), (Parts::SERVERS, 1), "{plan}");
    assert_eq!(sign(&mut kernel, &touched), before);
    carry_out(&mut kernel, &mut engine, &plan);
    let trace = Trace::start();
    mark();
    let after = sign(&mut kernel, &touched);
    mark();
    let counted = trace.end();
    assert_ne!(after, before);
    assert_eq!(sign(&mut kernel, &all), after, "as all together have it");
    let calls = counted.concat();
    let asked = calls.iter().filter(|call| *call == "getsockopt");
    assert_eq!(asked.count(), 1, "{calls:?}");

    // A Service comes and goes.
    let new = "10.96.1.1:80";
    cmd(&format!("ipvsadm -A -t {new} -s rr"));
    let with_new = sign(&mut kernel, &all);
    assert_ne!(with_new, after);
    cmd(&format!("ipvsadm -D -t {new}"));
    assert_eq!(sign(&mut kernel, &all), after);

    // What others do to a server that is touched is seen at once, and elsewhere when all are looked at.
    let plan = another_endpoint(&mut engine, slice(1));
    let server = |number: usize| format!("10.96.0.{}:80", &slice(number).service[1..]);
    cmd(&format!("ipvsadm -a -t {} -r 10.3.0.1:80 -m", server(2)));
    assert_eq!(sign(&mut kernel, &Touched::by(&plan)), after);
    cmd(&format!("ipvsadm -D -t {}", server(1)));
    assert_ne!(sign(&mut kernel, &Touched::by(&plan)), after);
    let without = sign(&mut kernel, &all);
    assert_ne!(without, after);
    // The plan's own change fails, and all that was seen stays what a look at all sees.
    assert_eq!(kernel.apply(&plan).failures.len(), 1);
    assert_eq!(sign(&mut kernel, &Touched::by(&plan)), without);
}
