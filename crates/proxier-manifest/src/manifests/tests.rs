use super::*;

fn case(name: &str) -> Manifests {
    let path = format!("{}/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"));
    read_cluster(name, &std::fs::read(path).unwrap())
}

/// The diagnostics without their file.
fn diagnostics(manifests: &Manifests) -> Vec<String> {
    let all = manifests.diagnostics.iter();
    all.map(|d| format!("{:?}: {d}", d.severity).replacen(&*d.location.file, "", 1))
        .collect()
}

fn service<'a>(manifests: &'a Manifests, name: &str) -> &'a proxier::cluster::Service {
    let mut services = manifests.cluster.services.values();
    services
        .find(|service| service.name.name() == name)
        .unwrap()
}

fn endpoints(manifests: &Manifests) -> Vec<String> {
    let slices = manifests.cluster.slices.values();
    let all = slices.flat_map(|slice| &slice.endpoints);
    all.map(|endpoint| endpoint.address.to_string()).collect()
}

/// Kubernetes reads stored addresses with leading zeros as decimal (peers.md, no. 48).
#[test]
fn leading_zeros_are_read_as_decimal_with_one_warning() {
    let read = case("manifests/leading-zeros-endpoint.yaml");
    assert_eq!(endpoints(&read), ["10.0.2.1", "10.0.2.2"]);
    assert_eq!(
        diagnostics(&read),
        [
            "Warning: : document 3: EndpointSlice ns1/svc1-z: endpoints[0].addresses[0]: \"010.000.002.001\" has \
             leading zeros, and is read as 10.0.2.1; write it without them"
        ]
    );
    let read = case("manifests/leading-zeros-external-ip.yaml");
    let ips = &service(&read, "a").external_ips;
    assert_eq!(ips, &["10.1.2.3".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(read.diagnostics.len(), 1);
    let read = case("manifests/leading-zeros-source-range.yaml");
    let a = service(&read, "a");
    assert_eq!(a.source_ranges, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!((a.closed_families.len(), read.diagnostics.len()), (0, 1));
}

/// Every field that holds an address or a network.
#[test]
fn leading_zeros_are_read_in_every_field() {
    let text = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {podCIDRs: [010.244.0.0/024, 'fd00::/064']}\n\
         status: {addresses: [{type: InternalIP, address: 192.168.010.010}]}\n---\n\
         apiVersion: v1\nkind: Node\nmetadata: {name: m}\nspec: {podCIDR: 10.244.001.0/24}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: s}\n\
         spec: {clusterIPs: [010.0.0.1, 'fd00::00001'], externalIPs: [192.0.002.1],\n\
         loadBalancerSourceRanges: [203.0.113.000/025], ports: [{port: 80}]}\n\
         status: {loadBalancer: {ingress: [{ip: 198.51.100.07}]}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: t}\nspec: {clusterIP: 010.0.0.2}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\nendpoints: [{addresses: [010.244.1.5]}]\n";
    let read = read_cluster("f", text.as_bytes());
    let clean = text
        .replace("010.", "10.")
        .replace(".010", ".10")
        .replace("/024", "/24")
        .replace("/025", "/25")
        .replace("/064", "/64")
        .replace(".001.", ".1.")
        .replace(".002.", ".2.")
        .replace(".07", ".7")
        .replace(".000", ".0")
        .replace("::00001", "::1");
    let expected = read_cluster("f", clean.as_bytes());
    assert_eq!(expected.diagnostics, []);
    assert_eq!(read.cluster, expected.cluster);
    let warned: Vec<_> = read.diagnostics.iter().map(|d| &*d.field).collect();
    assert_eq!(
        warned,
        [
            "spec.podCIDRs[0]",
            "spec.podCIDRs[1]",
            "status.addresses[0].address",
            "spec.podCIDR",
            "spec.clusterIPs[0]",
            "spec.clusterIPs[1]",
            "spec.externalIPs[0]",
            "spec.loadBalancerSourceRanges[0]",
            "status.loadBalancer.ingress[0].ip",
            "spec.clusterIP",
            "endpoints[0].addresses[0]",
        ]
    );
    assert!(
        read.diagnostics
            .iter()
            .all(|d| d.severity == Severity::Warning)
    );
}

/// One bad entry costs that entry only (peers.md, no. 50).
#[test]
fn only_the_entry_that_cannot_be_used_is_left_out() {
    let read = case("manifests/slice-one-bad-endpoint.yaml");
    assert_eq!(endpoints(&read), ["10.1.1.1", "10.1.1.2"]);
    assert_eq!(
        diagnostics(&read),
        [
            "LeftOut: : document 3: EndpointSlice default/a-1: endpoints[2].addresses[0]: \"\" is not an IP address; \
             the rest of the object is used"
        ]
    );
    let read = case("manifests/slice-port-0.yaml");
    assert_eq!(endpoints(&read), ["10.0.1.1", "10.0.1.2", "10.0.2.1"]);
    assert_eq!(&*read.diagnostics[0].field, "ports[1].port");
    let read = case("manifests/service-one-bad-external-ip.yaml");
    let a = service(&read, "a");
    assert_eq!(
        (a.cluster_ips.len(), a.external_ips.len(), a.ports.len()),
        (1, 0, 1)
    );
    assert_eq!(&*read.diagnostics[0].field, "spec.externalIPs[0]");
    let read = case("manifests/node-empty-external-ip.yaml");
    let node = &read.cluster.nodes["node-a"];
    assert_eq!(
        (node.addresses.len(), node.zone.as_deref()),
        (2, Some("zone-a"))
    );
    assert_eq!(&*read.diagnostics[0].field, "status.addresses[3].address");
    assert_eq!(read.diagnostics.len(), 1);
}

#[test]
fn source_ranges_that_cannot_be_used_keep_everybody_out() {
    use proxier::cluster::Family::{V4, V6};
    let closed = |ranges: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\n\
             spec: {{type: LoadBalancer, clusterIP: 10.0.0.1, loadBalancerSourceRanges: {ranges}}}\n"
        );
        let read = read_cluster("f", text.as_bytes());
        service(&read, "s").closed_families.clone()
    };
    for (ranges, families) in [
        ("[]", vec![]),
        ("null", vec![]),
        ("[10.0.0.0/8]", vec![]),
        ("[10.0.0.0/33]", vec![V4]),
        ("[10.0.0.0/33, 10.0.0.0/8]", vec![]),
        ("['fd00::/129', 10.0.0.0/8]", vec![V6]),
        ("[10.0.0.1]", vec![V4]),
        ("['']", vec![V4, V6]),
        ("[everybody, 10.0.0.0/8]", vec![V6]),
        ("[7]", vec![V4, V6]),
        ("[null]", vec![V4, V6]),
    ] {
        assert_eq!(closed(ranges), families, "{ranges}");
    }
}

/// What is not the list that was asked for is not a list (peers.md, no. 62).
#[test]
fn what_an_api_server_answers_when_it_fails_is_not_a_cluster() {
    for (name, says) in [
        ("lists/empty-object.json", "is not a Kubernetes object"),
        (
            "lists/status.json",
            "Status: is not a list: it is a Status: Unauthorized",
        ),
    ] {
        let read = case(name);
        assert_eq!(read.content, Content::Nothing, "{name}");
        let said = diagnostics(&read).concat();
        assert!(said.contains(says), "{name}: {said}");
    }
    assert_eq!(case("lists/pod-list.json").content, Content::Nothing);
    let pod = case("lists/pod-only.yaml");
    assert_eq!((pod.content, pod.ignored["Pod"]), (Content::Nothing, 1));
    assert_eq!(case("lists/empty-list.yaml").content, Content::EmptyList);
    for list in [
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":null}"#,
        r#"{"kind":"ServiceList","apiVersion":"v2","metadata":{"resourceVersion":"7"},"items":[]}"#,
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":""},"items":[]}"#,
        r#"{"kind":"List","apiVersion":"v1","items":null}"#,
        r#"{"kind":"List","apiVersion":"v1"}"#,
    ] {
        assert_eq!(
            read_cluster("f", list.as_bytes()).content,
            Content::Nothing,
            "{list}"
        );
    }
    // One that failed spoils those beside it, which may not be all.
    let node = r#"{"kind":"Node","apiVersion":"v1","metadata":{"name":"n"}}"#;
    assert_eq!(read_cluster("f", node.as_bytes()).content, Content::Cluster);
    let both =
        format!(r#"{node} {{"kind":"Status","apiVersion":"v1","message":"too many requests"}}"#);
    let read = read_cluster("f", both.as_bytes());
    assert_eq!((read.content, read.used), (Content::Nothing, 1));
}

#[test]
fn the_lists_of_an_api_server_are_read() {
    let empty = |kind: ListKind| {
        format!(
            r#"{{"kind":"{}","apiVersion":"{}","metadata":{{"resourceVersion":"7"}},"items":[]}}"#,
            kind.kind(),
            kind.api_version()
        )
    };
    for kind in ListKind::ALL {
        let read = read_cluster("f", empty(kind).as_bytes());
        assert_eq!((read.content, read.used), (Content::Cluster, 0));
        assert_eq!(read.diagnostics, []);
    }
    // Items do not name their kind. This is how `kubectl get --raw /api/v1/services` prints them.
    let text = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[
        {"metadata":{"name":"a","namespace":"default"},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":80}]}}]}
        {"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"8"},"items":[
        {"metadata":{"name":"a-1","namespace":"default","labels":{"kubernetes.io/service-name":"a"}},
         "addressType":"IPv4","endpoints":[{"addresses":["10.1.1.1"]}],"ports":[{"port":80}]}]}
        {"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"n"}}]}
        {"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{},{},{}]}"#;
    let read = read_cluster("f", text.as_bytes());
    assert_eq!((read.content, read.used), (Content::Cluster, 3));
    assert_eq!(read.diagnostics, []);
    assert_eq!(read.ignored, [("Pod".into(), 3)].into());
    let stripped = text.replace(r#""resourceVersion":"7""#, "");
    let read = read_cluster("f", stripped.as_bytes());
    assert_eq!(read.used, 3);
    assert_eq!(read.diagnostics[0].severity, Severity::Warning);
}

#[test]
fn texts_from_outside_are_escaped_and_cut() {
    let name = format!("a\\nreconcile: all is well\\u202e{}", "x".repeat(10_000));
    let text = format!(
        r#"{{"kind":"Service","apiVersion":"v1","metadata":{{"name":"{name}"}},"spec":{{"type":"{name}"}}}}"#
    );
    let read = read_cluster("f", text.as_bytes());
    let said = read.diagnostics[0].to_string();
    assert!(!said.contains(['\n', '\u{202e}']), "{said}");
    assert!(said.len() < 2000, "{}", said.len());
}

/// Without its cluster IPs a Service would be a headless one, and without its ports one that serves nothing.
#[test]
fn a_service_of_which_nothing_is_left_is_rejected() {
    let read = |spec: &str| {
        let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {spec}\n");
        let read = read_cluster("f", text.as_bytes());
        let severities = read
            .diagnostics
            .iter()
            .map(|d| d.severity)
            .collect::<Vec<_>>();
        (read.cluster.services.len(), severities)
    };
    let rejected = (0, vec![Severity::Rejected]);
    assert_eq!(read("{clusterIP: nowhere, ports: [{port: 80}]}"), rejected);
    assert_eq!(read("{clusterIPs: [7], ports: [{port: 80}]}"), rejected);
    assert_eq!(read("{clusterIP: 10.0.0.1, ports: [{port: 0}]}"), rejected);
    assert_eq!(read("{clusterIP: 10.0.0.1, ports: [{port: x}]}"), rejected);
    assert_eq!(read("{clusterIP: None, ports: [{port: 80}]}"), (1, vec![]));
    assert_eq!(read("{clusterIP: 10.0.0.1, ports: []}"), (1, vec![]));
    let in_part = (1, vec![Severity::LeftOut]);
    assert_eq!(
        read("{clusterIPs: [10.0.0.1, x], ports: [{port: 80}]}"),
        in_part
    );
}

#[test]
fn of_one_object_twice_the_newer_is_used_whatever_the_order() {
    let node = |version: &str, zone: &str| {
        format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: n, resourceVersion: '{version}', \
             labels: {{topology.kubernetes.io/zone: {zone}}}}}\n---\n"
        )
    };
    for (first, second) in [
        (node("9", "old"), node("10", "new")),
        (node("7", "n"), node("7", "z")),
        (node("7", "a"), node("7", "a")),
    ] {
        let forward = read_cluster("f", format!("{first}{second}").as_bytes());
        let backward = read_cluster("f", format!("{second}{first}").as_bytes());
        assert_eq!(forward.cluster, backward.cluster);
        for read in [forward, backward] {
            assert_eq!((read.used, read.diagnostics.len()), (1, 1));
            assert_eq!(read.diagnostics[0].severity, Severity::Rejected);
            assert_ne!(read.cluster.nodes["n"].zone.as_deref(), Some("old"));
        }
    }
}

/// Of two that are equal the second is the one too many.
#[test]
fn of_equal_objects_the_second_is_reported() {
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n, resourceVersion: '7'}\n---\n";
    let read = read_cluster("f", node.repeat(2).as_bytes());
    let documents = read.diagnostics.iter().map(|d| d.location.document);
    assert_eq!(documents.collect::<Vec<_>>(), [2]);
}

#[test]
fn addresses_of_a_node_are_internal_ones_first() {
    let text = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {addresses: [\
                {type: ExternalIP, address: 203.0.113.1}, {type: Hostname, address: n},\
                {type: InternalIP, address: 192.0.2.1}]}\n";
    let read = read_cluster("f", text.as_bytes());
    let addresses = read.cluster.nodes["n"].addresses.iter();
    let addresses: Vec<_> = addresses.map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.1", "203.0.113.1"]);
}

#[test]
fn an_endpoint_of_the_other_family_is_left_out() {
    let text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
                metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\n\
                endpoints: [{addresses: ['fd00::1']}, {addresses: [10.1.1.1]}, {addresses: []}]\n";
    let read = read_cluster("f", text.as_bytes());
    assert_eq!(endpoints(&read), ["10.1.1.1"]);
    let fields: Vec<_> = read.diagnostics.iter().map(|d| &*d.field).collect();
    assert_eq!(
        fields,
        ["endpoints[0].addresses[0]", "endpoints[2].addresses"]
    );
    let endpoint = &read.cluster.slices.values().next().unwrap().endpoints[0];
    assert_eq!(
        (endpoint.ready, endpoint.serving, endpoint.terminating),
        (true, true, false)
    );
}
