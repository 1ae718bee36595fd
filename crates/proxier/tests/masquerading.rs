//! Masquerading on or off for one Service: the annotation `kube-proxier/masquerade`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should panic"
)]

use std::collections::BTreeSet;

use proxier::cluster::{Change, Cluster, Host};
use proxier::explain::{Evidence, Explanation, explain};
use proxier::{Config, DetectLocal, Engine, Kernel, Layout, MemoryKernel, reconcile, translate};

/// A Service with addresses of every kind and this annotation, and an endpoint on each of two nodes.
fn cluster(annotation: &str, spec: &str) -> Cluster {
    let yaml = format!(
        "apiVersion: v1
kind: Node
metadata: {{name: node-a}}
status: {{addresses: [{{type: InternalIP, address: 192.168.10.10}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, annotations: {{{annotation}}}}}
spec: {{clusterIP: 10.0.0.7, type: LoadBalancer, externalIPs: [203.0.113.7], ports: [{{port: 80, nodePort: 30080}}], {spec}}}
status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.7}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
ports: [{{port: 8080}}]
endpoints: [{{addresses: [10.244.1.5], nodeName: node-a}}, {{addresses: [10.244.2.6], nodeName: node-b}}]
"
    );
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

fn asking(masquerade: &str) -> Cluster {
    cluster(&format!("kube-proxier/masquerade: {masquerade}"), "")
}

fn host() -> Host {
    let mut host = Host::new("node-a");
    let address = "192.168.10.10/24".parse().unwrap();
    host.links.insert("eth0".parse().unwrap(), address);
    host
}

fn config(layout: Layout) -> Config {
    let mut config = Config::with_layout(layout);
    config.detect_local = DetectLocal::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]);
    config
}

/// What the table has beyond that of a Service without the annotation, which has nothing else.
fn added(annotations: &str, spec: &str) -> Vec<String> {
    let elements = |annotations: &str| {
        let cluster = cluster(annotations, spec);
        let desired = translate(&cluster, &host(), &config(Layout::Nftables));
        let table = desired.tables.v4.unwrap();
        table.elements.into_iter().collect::<BTreeSet<_>>()
    };
    let without: Vec<_> = annotations
        .split(", ")
        .filter(|one| !one.contains("/masquerade"))
        .collect();
    let (plain, asking) = (elements(&without.join(", ")), elements(annotations));
    assert_eq!(plain.difference(&asking).count(), 0);
    let added = asking.difference(&plain);
    added
        .map(|element| format!("{} {element}", element.set().as_str()))
        .collect()
}

#[test]
fn in_layout_nftables_each_address_is_an_element() {
    let added = |asked: &str| added(&format!("kube-proxier/masquerade: {asked}"), "");
    assert_eq!(added("default"), [""; 0]);
    let never = [
        "source-kept 10.0.0.7 . tcp . 80",
        "source-kept 198.51.100.7 . tcp . 80",
        "source-kept 203.0.113.7 . tcp . 80",
        "node-ports-source-kept tcp . 30080",
    ];
    assert_eq!(added("never"), never);
    assert_eq!(added("always"), ["masqueraded 10.0.0.7 . tcp . 80"]);
}

/// By the marks of virtual servers for everybody. What a policy `Local` has for the outside is not masqueraded.
#[test]
fn ranges_have_an_element_for_each_mark() {
    let sets = |asked: &str, policy: &str| {
        let ranges = "kube-proxier/ports: 1000-2000/tcp";
        let annotations = format!("{ranges}, kube-proxier/masquerade: {asked}");
        let added = added(&annotations, policy);
        let sets = added.iter().filter_map(|line| line.split(' ').next());
        let of_ranges = sets.filter(|set| set.starts_with("range-"));
        of_ranges.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sets("default", ""), [""; 0]);
    let internal = "internalTrafficPolicy: Local";
    for (policy, marks) in [("", 1), ("externalTrafficPolicy: Local", 1), (internal, 2)] {
        assert_eq!(sets("never", policy), vec!["range-source-kept"; marks]);
        assert_eq!(sets("always", policy), vec!["range-masqueraded"; marks]);
    }
}

/// Virtual servers stay as they are.
#[test]
fn it_is_changed_in_place() {
    for layout in Layout::ALL {
        let mut kernel = MemoryKernel::new();
        let mut set = |asked| {
            let desired = translate(&asking(asked), &host(), &config(layout));
            let plan = reconcile(&desired, &kernel.state());
            assert!(kernel.apply(&plan).is_ok());
            (plan, kernel.state().servers)
        };
        let (_, before) = set("default");
        for asked in ["never", "always", "default"] {
            let (plan, servers) = set(asked);
            assert!(!plan.is_empty());
            assert_eq!(servers, before);
            let (plan, _) = set(asked);
            assert!(plan.is_empty(), "{plan}");
        }
    }
}

/// By an engine that follows, and by one that starts anew: rules go after the members that need them.
#[test]
fn an_engine_makes_the_same_changes() {
    for layout in Layout::ALL {
        let (host, config) = (host(), config(layout));
        let mut engine = Engine::new(host.clone(), config.clone());
        let mut kernel = MemoryKernel::new();
        let first = asking("default");
        engine.change(Change::Services(first.services.into_values().collect()));
        engine.change(Change::Slices(first.slices.into_values().collect()));
        engine.change(Change::Nodes(first.nodes.into_values().collect()));
        let plan = engine.audit(&kernel.observe().unwrap());
        engine.applied(&plan, &kernel.apply(&plan));
        for asked in ["never", "default", "always", "never", "default"] {
            let cluster = asking(asked);
            let service = cluster.services.values().next().unwrap();
            engine.change(Change::Service(Box::new(service.clone())));
            let plan = engine.plan();
            let full = reconcile(&translate(&cluster, &host, &config), &kernel.state());
            assert_eq!(plan.to_string(), full.to_string());
            assert!(!plan.is_empty());
            assert_eq!(
                engine.audit(&kernel.observe().unwrap()).to_string(),
                full.to_string()
            );
            let applied = kernel.apply(&plan);
            assert!(applied.is_ok());
            engine.applied(&plan, &applied);
            assert!(engine.plan().is_empty());
        }
    }
}

/// With other Services all at once, the members that go keep their rules until virtual servers have gone.
#[test]
fn an_engine_takes_all_away_as_the_full_path_does() {
    for layout in Layout::WITH_IPSET {
        let (host, config) = (host(), config(layout));
        let mut kernel = MemoryKernel::new();
        let desired = translate(&asking("never"), &host, &config);
        assert!(kernel.apply(&reconcile(&desired, &kernel.state())).is_ok());
        let mut engine = Engine::new(host.clone(), config.clone());
        let plan = engine.audit(&kernel.observe().unwrap());
        let full = reconcile(&engine.desired(), &kernel.state());
        assert_eq!(plan.to_string(), full.to_string());
        assert!(kernel.apply(&plan).is_ok());
        let left = kernel.state();
        assert!(left.servers.is_empty());
        let names = left.sets.keys().map(ToString::to_string);
        assert!(names.into_iter().all(|name| name != "KUBE-SOURCE-KEPT"));
    }
}

/// Lines of a plan for an empty kernel: a Service that asks has these beyond one that does not, and lacks those.
fn differing(asked: &str, config: &Config) -> [Vec<String>; 2] {
    let [plain, asking] = ["default", asked].map(|asked| {
        let desired = translate(&asking(asked), &host(), config);
        let plan = reconcile(&desired, &MemoryKernel::new().state());
        let lines = plan.to_string();
        let lines = lines.lines().map(|line| line.trim_start_matches("+ "));
        lines.map(str::to_owned).collect::<BTreeSet<_>>()
    });
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect();
    [only(&asking, &plain), only(&plain, &asking)]
}

#[test]
fn in_layouts_with_ipset_each_address_is_a_member_of_a_set_that_is_there_only_then() {
    for layout in Layout::WITH_IPSET {
        let config = config(layout);
        let [never, less] = differing("never", &config);
        assert_eq!(less, [""; 0]);
        let member = |at: &&str| format!("ipset     add KUBE-SOURCE-KEPT {at}");
        let mut expected: Vec<_> = [
            "10.0.0.7,tcp:80",
            "127.0.0.1,tcp:30080",
            "192.168.10.10,tcp:30080",
            "198.51.100.7,tcp:80",
            "203.0.113.7,tcp:80",
        ]
        .iter()
        .filter(|at| layout == Layout::Classic || !at.starts_with("127."))
        .map(member)
        .collect();
        let made = "ipset     create KUBE-SOURCE-KEPT hash:ip,port family inet hashsize 1024 maxelem 65536";
        let rule = "iptables  -t nat -A KUBE-MARK-MASQ -m comment --comment \"Kubernetes service ip + port that keeps the source\" \
                    -m set --match-set KUBE-SOURCE-KEPT dst,dst -m addrtype ! --src-type LOCAL -j RETURN";
        expected.extend([made.to_owned(), rule.to_owned()]);
        assert_eq!(never, expected);
        let [always, less] = differing("always", &config);
        assert_eq!(less, [""; 0]);
        let expected = [
            "ipset     add KUBE-MASQUERADED 10.0.0.7,tcp:80",
            "ipset     create KUBE-MASQUERADED hash:ip,port family inet hashsize 1024 maxelem 65536",
            "iptables  -t nat -A KUBE-SERVICES -m comment --comment \"Kubernetes service cluster ip + port that is always masqueraded\" \
             -m set --match-set KUBE-MASQUERADED dst,dst -j KUBE-MARK-MASQ",
        ];
        assert_eq!(always, expected);
    }
}

#[test]
fn in_iptables_mode_rules_of_the_service_differ() {
    let mut config = config(Layout::Iptables);
    let cluster_ip = |matches: &str| {
        let comment = "-m comment --comment \"default/web cluster IP\" -m tcp --dport 80";
        let [source, more] = match matches.starts_with('!') {
            true => [matches, ""],
            false => ["", matches],
        };
        format!(
            "iptables  -t nat -A KUBE-SVC-LOLE4ISW44XBNF3G {source}-d 10.0.0.7/32 -p tcp {more}{comment} -j KUBE-MARK-MASQ"
        )
    };
    let outside = |what: &str, matches: &str| {
        let comment = format!("\"masquerade {what} for default/web external destinations\"");
        format!(
            "iptables  -t nat -A KUBE-EXT-LOLE4ISW44XBNF3G -m comment --comment {comment} {matches}-j KUBE-MARK-MASQ"
        )
    };
    let [own, pods] = ["-m addrtype --src-type LOCAL ", "! -s 10.244.0.0/16 "];
    let never = [outside("LOCAL traffic", own), cluster_ip(own)];
    let default = [outside("traffic", ""), cluster_ip(pods)];
    assert_eq!(
        differing("never", &config),
        [never.clone(), default].map(Vec::from)
    );
    let [always, default] = [cluster_ip(""), cluster_ip(pods)].map(|rule| vec![rule]);
    assert_eq!(differing("always", &config), [always, default]);
    config.masquerade_all = true;
    let default = [outside("traffic", ""), cluster_ip("")];
    assert_eq!(differing("never", &config), [never, default].map(Vec::from));
    assert_eq!(
        differing("always", &config),
        [const { Vec::<String>::new() }; 2]
    );
}

/// What an explanation says of one address, in a kernel that holds what it should.
fn explained(cluster: &Cluster, layout: Layout, question: &str) -> Explanation {
    let (host, config) = (host(), config(layout));
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&translate(cluster, &host, &config), &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    let observed = kernel.state();
    let evidence = Evidence::new(cluster, &host, &config, &observed);
    explain(&evidence, &question.parse().unwrap())
}

/// The last steps of packets from a pod, from the node and from outside.
fn ends(masquerade: &str, layout: Layout, question: &str) -> Vec<String> {
    let explanation = explained(&asking(masquerade), layout, question);
    assert!(explanation.is_served(), "{explanation}");
    let text = explanation.to_string();
    let steps = text
        .lines()
        .filter(|line| line.contains("its source") || line.contains("answer through"));
    let words = steps.filter_map(|line| Some(line.split_once(". ")?.1.to_owned()));
    words.collect()
}

#[test]
fn explain_says_whose_source_stays() {
    const MASQUERADED: &str = "its source becomes an address of this node";
    const KEPT: &str = "its source stays";
    const WAY_BACK: &str = "10.244.2.6:8080 on other nodes must answer through this node: the client drops answers that come another \
                            way";
    let outside = ["198.51.100.7:80", "203.0.113.7:80", "192.168.10.10:30080"];
    for layout in Layout::ALL {
        let ends = |asked, question| ends(asked, layout, question);
        for question in outside {
            for asked in ["default", "always"] {
                assert_eq!(ends(asked, question), [MASQUERADED; 3], "{question}");
            }
        }
        for question in outside.into_iter().chain(["10.0.0.7:80"]) {
            let never = ends("never", question);
            assert_eq!(never, [KEPT, MASQUERADED, KEPT, WAY_BACK], "{question}");
        }
        let cluster_ip = |asked| ends(asked, "10.0.0.7:80");
        assert_eq!(cluster_ip("default"), [KEPT, MASQUERADED, MASQUERADED]);
        assert_eq!(cluster_ip("always"), [MASQUERADED; 3]);
    }
}

/// What is missing is named. Without it packets are masqueraded.
#[test]
fn explain_names_what_is_missing() {
    for (layout, missing) in [
        (Layout::Nftables, "source-kept { 198.51.100.7 . tcp . 80 }"),
        (Layout::Current, "add KUBE-SOURCE-KEPT 198.51.100.7,tcp:80"),
    ] {
        let cluster = asking("never");
        let (host, config) = (host(), config(layout));
        let mut kernel = MemoryKernel::new();
        let plain = translate(&asking("default"), &host, &config);
        assert!(kernel.apply(&reconcile(&plain, &kernel.state())).is_ok());
        let observed = kernel.state();
        let evidence = Evidence::new(&cluster, &host, &config, &observed);
        let explanation = explain(&evidence, &"198.51.100.7:80".parse().unwrap());
        let text = explanation.to_string();
        assert!(text.contains(missing), "{text}");
        assert!(
            !text.lines().next().unwrap().ends_with("is served"),
            "{text}"
        );
        assert!(!text.contains("its source stays\n"), "{text}");
        if layout == Layout::Nftables {
            assert!(!text.contains("NOT SERVED"), "{text}");
        }
    }
}
