//! Objects that can be used, whole or in part, and those that cannot.

use crate::{Run, SLICE, beside_a_good_one, case, ipvs, service};

/// Each object, or entry, is refused with its place and the field at fault; the good object beside it is served, and so
/// is the rest of the bad one.
#[test]
fn bad_objects_are_refused_and_the_others_served() {
    let bad = |port: &str, more: &str| service("bad", "10.0.0.9", port, more);
    let good_port = "{name: http, port: 80}";
    let slice = |more: &str| {
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {name: bad, labels: {kubernetes.io/service-name: web}}\n"
            .to_owned()
            + more
    };
    const REST: &str = "-A -t 10.0.0.9:80 -s rr";
    let cases = [
        (
            bad("{port: 0}", ""),
            "Service default/bad: spec.ports[0].port: 0 is not a port",
        ),
        (
            bad("{port: 65536}", ""),
            "spec.ports[0].port: 65536 is not a port",
        ),
        (
            bad("{port: 80, nodePort: -1}", ""),
            "spec.ports[0].nodePort: -1 is not a port",
        ),
        (
            bad("{port: eighty}", ""),
            "spec.ports[0].port: invalid type",
        ),
        (
            bad("{port: 80, protocol: ICMP}", ""),
            "spec.ports[0].protocol: \"ICMP\"",
        ),
        (
            service("bad", "10.0.0.300", good_port, ""),
            "spec.clusterIP: \"10.0.0.300\" is not an IP address",
        ),
        (
            bad(good_port, ", ipFamilies: [IPv6]"),
            "spec.clusterIP: 10.0.0.9 is not of a family in spec.ipFamilies",
        ),
        (
            bad(good_port, ", clusterIPs: [10.0.0.9, 10.0.0.10]"),
            "spec.clusterIPs[1]: 10.0.0.10 is a second IPv4",
        ),
        (
            bad(good_port, ", externalIPs: [x]"),
            "spec.externalIPs[0]: \"x\" is not an IP address",
        ),
        (
            bad(good_port, ", loadBalancerSourceRanges: [10.0.0.1]"),
            "spec.loadBalancerSourceRanges[0]",
        ),
        (
            bad(good_port, ", sessionAffinity: Sometimes"),
            "spec.sessionAffinity: \"Sometimes\"",
        ),
        (
            bad(good_port, ", internalTrafficPolicy: Near"),
            "spec.internalTrafficPolicy: \"Near\"",
        ),
        (bad(good_port, ", type: Magic"), "spec.type: \"Magic\""),
        (
            slice("addressType: IPv4\nendpoints: [{addresses: [fd00::1]}]"),
            "EndpointSlice default/bad: endpoints[0].addresses[0]: fd00::1 is not an IPv4",
        ),
        (
            slice("addressType: IPv4\nendpoints: [{addresses: []}]"),
            "endpoints[0].addresses: is empty",
        ),
        (slice("addressType: IPv5"), "addressType: \"IPv5\""),
        (
            slice("addressType: IPv4\nports: [{port: 99999}]"),
            "ports[0].port: 99999 is not a port",
        ),
        ("kind: Service".to_owned(), "is not a Kubernetes object"),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {}".to_owned(),
            "Service: metadata.name: is missing",
        ),
        ("a: [".to_owned(), "is not YAML: line"),
        ("just words".to_owned(), "is not a Kubernetes object"),
    ];
    for (object, says) in cases {
        let run = Run::new().file("c.yaml", beside_a_good_one(&object));
        let ran = run.with(&["--output", "json", "c.yaml"]);
        assert_eq!(ran.status, 1, "{object}\n{}", ran.err);
        ran.refuses(&["refused: c.yaml: document 3", says]);
        let mut expected = vec![
            "-A -t 10.0.0.7:80 -s rr",
            "-a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1",
        ];
        let in_part = [
            "spec.ports[0].nodePort",
            "spec.clusterIPs[1]",
            "spec.externalIPs[0]",
            "spec.loadBalancerSourceRanges[0]",
        ];
        if in_part.iter().any(|field| says.starts_with(field)) {
            expected.insert(1, REST);
        }
        assert_eq!(ipvs(&ran.out), expected, "{object}");
    }
}

#[test]
fn what_looks_bad_and_is_not_is_used() {
    let cases = [
        // A slice whose Service is missing, and one that belongs to none.
        SLICE
            .replace("name: web", "name: gone")
            .replace("web-1", "gone-1"),
        SLICE
            .replace(", labels: {kubernetes.io/service-name: web}", "")
            .replace("web-1", "free"),
        // The same slice twice, an endpoint twice.
        SLICE.to_owned(),
        SLICE.replace("web-1", "web-2"),
        // Kinds that no proxy needs, and Services of other groups.
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}".to_owned(),
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: k}".to_owned(),
        // Headless, or without an address yet.
        service("headless", "None", "{port: 80}", ""),
        service("pending", "''", "{port: 80}", ""),
    ];
    for object in cases {
        let run = Run::new().file("c.yaml", beside_a_good_one(&object));
        let ran = run.with(&["--output", "json", "c.yaml"]);
        let twice = ran.err.contains("is there twice");
        assert_eq!(ran.status, i32::from(twice), "{object}\n{}", ran.err);
        let expected = [
            "-A -t 10.0.0.7:80 -s rr",
            "-a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1",
        ];
        assert_eq!(ipvs(&ran.out), expected, "{object}");
    }
}

#[test]
fn affinity_without_a_timeout_is_three_hours() {
    let service = service(
        "web",
        "10.0.0.7",
        "{name: http, port: 80}",
        ", sessionAffinity: ClientIP",
    );
    let ran = Run::new()
        .file("c.yaml", service)
        .with(&["--output", "json", "c.yaml"]);
    assert_eq!(ipvs(&ran.out), ["-A -t 10.0.0.7:80 -s rr -p 10800"]);
}

#[test]
fn of_two_services_with_one_address_the_older_has_it() {
    let dated = |name: &str, date: &str, port: u16| {
        service(
            name,
            "10.0.0.7",
            &format!("{{name: http, port: 80, nodePort: {port}}}"),
            "",
        )
        .replace(
            "metadata: {",
            &format!("metadata: {{creationTimestamp: {date}, "),
        )
    };
    let old = dated("z-old", "2024-01-01T00:00:00Z", 30001);
    let young = dated("a-young", "2025-01-01T00:00:00Z", 30002);
    for text in [format!("{old}---\n{young}"), format!("{young}---\n{old}")] {
        let ran = Run::new().file("c.yaml", text).with(&["c.yaml"]);
        assert_eq!(ran.status, 1);
        ran.refuses(&[
            "Service default/a-young",
            "-t 10.0.0.7:80",
            "it is the cluster IP of Service default/z-old",
        ]);
    }
    // It is taken over when the older one goes.
    let run = Run::new()
        .file("1.yaml", format!("{old}---\n{young}"))
        .file("2.yaml", young);
    let ran = run.with(&["--output", "json", "1.yaml", "2.yaml"]);
    assert_eq!(ipvs(&ran.out), ["-A -t 10.0.0.7:80 -s rr"]);
}

#[test]
fn leading_zeros_are_a_warning_and_served() {
    let run = Run::new()
        .file("1.yaml", case("manifests/leading-zeros-external-ip.yaml"))
        .file("2.yaml", case("manifests/leading-zeros-endpoint.yaml"));
    let ran = run.with(&["--output", "json", "1.yaml"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ipvs(&ran.out).contains(&"-A -t 10.1.2.3:80 -s rr".to_owned()));
    assert_eq!(ran.err.matches("leading zeros").count(), 1, "{}", ran.err);
    ran.refuses(&["warning: 1.yaml: document 2: Service default/a: spec.externalIPs[0]"]);
    let ran = run.with(&["--output", "json", "2.yaml"]);
    assert_eq!(
        ipvs(&ran.out),
        [
            "-A -t 10.96.0.10:80 -s rr",
            "-a -t 10.96.0.10:80 -r 10.0.2.1:80 -m -w 1",
            "-a -t 10.96.0.10:80 -r 10.0.2.2:80 -m -w 1",
        ]
    );
}

#[test]
fn a_later_update_of_a_partly_bad_object_is_taken() {
    let bad = String::from_utf8(case("manifests/slice-one-bad-endpoint.yaml")).unwrap();
    let run = Run::new()
        .file("1.yaml", &bad)
        .file("2.yaml", bad.replace("10.1.1.2", "10.1.1.9"));
    let ran = run.with(&["--output", "json", "1.yaml", "2.yaml"]);
    assert_eq!(ran.status, 1);
    ran.refuses(&[
        "endpoints[2].addresses[0]: \"\" is not an IP address; the rest of the object is used",
    ]);
    let held = ipvs(&ran.out);
    assert!(
        held.contains(&"-a -t 10.0.0.1:80 -r 10.1.1.9:80 -m -w 1".to_owned()),
        "{held:?}"
    );
    assert!(
        held.contains(&"-a -t 10.0.0.1:80 -r 10.1.1.1:80 -m -w 1".to_owned()),
        "{held:?}"
    );
}

/// A restriction that cannot be read is not the lack of one.
#[test]
fn source_ranges_that_cannot_be_used_keep_everybody_out() {
    let with = |ranges: &str| {
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{type: LoadBalancer, clusterIP: 10.0.0.1, \
             ports: [{{port: 80}}], loadBalancerSourceRanges: {ranges}}}\n\
             status: {{loadBalancer: {{ingress: [{{ip: 192.0.2.1}}]}}}}\n"
        );
        let run = Run::new().file("c.yaml", service);
        let ran = run.with(&["--output", "json", "c.yaml"]);
        let state: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let sets = state["ipset"].as_array().unwrap();
        let member = |set: &str| {
            let prefix = format!("add {set} 192.0.2.1,tcp:80");
            let mut lines = sets.iter().filter_map(serde_json::Value::as_str);
            lines.any(|line| line.starts_with(&prefix))
        };
        (
            member("KUBE-LOAD-BALANCER-FW"),
            member("KUBE-LOAD-BALANCER-SOURCE-CIDR"),
        )
    };
    assert_eq!(with("[]"), (false, false));
    assert_eq!(with("[203.0.113.000/025]"), (true, true));
    assert_eq!(with("[203.0.113.0]"), (true, false));
    assert_eq!(with("['', nobody]"), (true, false));
}
