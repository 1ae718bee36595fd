use proxier::cluster::{Change, Host};
use proxier::{Config, Kernel, Layout, MemoryKernel};

use super::*;
use crate::http::tests::{request, run, start};

const CLUSTER: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {clusterIP: 10.96.0.7, externalIPs: [203.0.113.5], ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.244.1.5], nodeName: node-a}
- {addresses: [10.244.1.6], nodeName: node-b, conditions: {ready: false, serving: true, terminating: true}}
---
apiVersion: v1
kind: Service
metadata: {name: younger, namespace: shop, creationTimestamp: '2026-02-01T00:00:00Z'}
spec: {clusterIP: 10.96.0.8, externalIPs: [203.0.113.5], ports: [{port: 80}]}
";

/// An engine with more Services than the page lists at once: those above, and 150 more.
fn engine(layout: Layout) -> Engine {
    let mut engine = Engine::new(Host::new("node-a"), Config::with_layout(layout));
    let mut cluster = proxier_manifest::read_cluster("test", CLUSTER.as_bytes()).cluster;
    let web = cluster.services.values().next().unwrap().clone();
    for number in 0..150_u8 {
        let mut more = web.clone();
        more.name = proxier::cluster::ObjectName::new("many", format!("service-{number:03}"));
        more.cluster_ips = vec![[10, 97, 0, number].into()];
        more.external_ips.clear();
        cluster.services.insert(more.name.clone(), more);
    }
    engine.change(Change::Services(cluster.services.into_values().collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    let mut kernel = MemoryKernel::new();
    let plan = engine.audit(&kernel.observe().unwrap());
    let applied = kernel.apply(&plan);
    engine.applied(&plan, &applied);
    engine
}

/// A page of an engine that answers.
fn page(engine: Engine) -> Page {
    let (events, mut received) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(Event::Asked(inquiry)) = received.recv().await {
            inquiry.answer(&engine);
        }
    });
    let health = HealthState::new(Duration::from_secs(30));
    Page::new(
        events,
        "node-<a>",
        health,
        Arc::default(),
        Recent::default(),
    )
}

#[test]
fn it_shows_what_is_served_and_what_is_not() {
    run(async {
        let address = start(routes(&page(engine(Layout::Current)))).await;
        let html = request(address, "/").await;
        assert!(html.starts_with("HTTP/1.1 200 OK\r\n"), "{html}");
        for part in [
            "content-type: text/html; charset=utf-8\r\n",
            "x-content-type-options: nosniff\r\n",
            "<title>kube-proxier, node-&lt;a&gt;</title>",
            "<td>healthy</td>",
            "152 Services, 153 virtual servers",
            "<h2>Conflicts (1)</h2>",
            "Service shop/younger, port &quot;&quot;, does not get -t 203.0.113.5:80: the older Service shop/web has it",
            "Nothing has been compared yet.",
            "<h2>Services (152)</h2>",
            "<a href=\"/?view=services&amp;q=many%2Fservice-000\">many/service-000</a>",
            "<p>Page 1 of 2</p>",
            "<a href=\"/?view=services&amp;page=2\">next</a>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert!(!html.contains("many/service-100<"), "{html}");
        let second = request(address, "/?page=2").await;
        assert!(second.contains("many/service-100<"), "{second}");
        assert!(
            second.contains("<td>TCP 203.0.113.5:80</td><td>1: 10.244.1.5:8080</td>"),
            "{second}"
        );
        // What is on the first page is not repeated.
        assert!(!second.contains("Conflicts"), "{second}");
        let beyond = request(address, "/?page=99999999999999999999").await;
        assert!(beyond.contains("Page 1 of 2"), "{beyond}");
    });
}

#[test]
fn it_is_searched_and_shows_endpoints() {
    run(async {
        let address = start(routes(&page(engine(Layout::Current)))).await;
        let html = request(address, "/?q=10.244.1.6&view=endpoints").await;
        for part in [
            "<h2>Endpoints of Services (1)</h2>",
            "value=\"10.244.1.6\"",
            "<td>10.244.1.5</td><td>http 8080/tcp</td><td>node-a</td><td>ready</td>",
            "<td>node-b</td><td class=\"bad\">terminating, serving</td>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        let hostile = request(address, "/?q=%3Cscript%3Ealert(1)%3C/script%3E%22").await;
        assert!(!hostile.contains("<script"), "{hostile}");
        assert!(hostile.contains("<h2>Services (0)</h2>"), "{hostile}");
    });
}

#[test]
fn it_shows_what_drains() {
    let manifests = |endpoints: &str| {
        format!(
            "kind: Service
apiVersion: v1
metadata: {{name: web, namespace: shop, annotations: {{kube-proxier/drain: 30s}}}}
spec: {{clusterIP: 10.96.0.7, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {{name: web, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: {endpoints}}}]
"
        )
    };
    let mut engine = Engine::new(Host::new("node-a"), Config::default());
    let mut kernel = MemoryKernel::new();
    for (endpoints, first) in [("[10.244.1.5]", true), ("[10.244.1.6]", false)] {
        let text = manifests(endpoints);
        let cluster = proxier_manifest::read_cluster("test", text.as_bytes()).cluster;
        engine.change(Change::Services(cluster.services.into_values().collect()));
        engine.change(Change::Slices(cluster.slices.into_values().collect()));
        // A change alone does not tell how many connections there are.
        let plan = match first {
            true => engine.audit(&kernel.observe().unwrap()),
            false => engine.plan(),
        };
        let applied = kernel.apply(&plan);
        engine.applied(&plan, &applied);
    }
    run(async {
        let address = start(routes(&page(engine))).await;
        let html = request(address, "/").await;
        assert!(html.contains("<h2>Draining (1)</h2>"), "{html}");
        let row = "<td>TCP 10.96.0.7:80</td><td>10.244.1.5:8080</td><td>they end, 30 s at most</td><td>shop/web</td><td>http</td>";
        assert!(html.contains(row), "{html}");
    });
}

#[test]
fn it_shows_iptables_mode_too() {
    run(async {
        let address = start(routes(&page(engine(Layout::Iptables)))).await;
        let html = request(address, "/?q=shop/web").await;
        assert!(
            html.contains("<td>TCP 10.96.0.7:80</td><td>1: 10.244.1.5:8080</td>"),
            "{html}"
        );
    });
}

#[test]
fn nothing_but_its_own_style_is_allowed() {
    run(async {
        let address = start(routes(&page(engine(Layout::Current)))).await;
        let html = request(address, "/").await;
        let (head, body) = html.split_once("\r\n\r\n").unwrap();
        let style = body
            .split_once("<style>")
            .and_then(|(_, rest)| rest.split_once("</style>"))
            .unwrap()
            .0;
        let hash = STANDARD.encode(hmac_sha256::Hash::hash(style.as_bytes()));
        let policy = format!(
            "content-security-policy: default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        assert!(head.contains(&policy), "{head}");
        for outside in ["http:", "https:", "//", "<script", "<img", " style=", " on"] {
            let body = body.replace("many/", "");
            let markup: Vec<_> = body
                .split('<')
                .filter_map(|tag| tag.split_once('>'))
                .collect();
            assert!(!markup.is_empty());
            for (tag, _) in markup {
                assert!(!format!("<{tag}").contains(outside), "{outside}: {tag}");
            }
        }
    });
}

#[test]
fn a_loop_that_is_busy_is_not_waited_for_long() {
    run(async {
        let mut page = page(engine(Layout::Current));
        let (events, _busy) = mpsc::channel(1);
        page.events = events;
        let address = start(routes(&page)).await;
        let html = request(address, "/").await;
        assert!(html.contains("The loop is busy with a sync"), "{html}");
        assert!(html.contains("<h2>Status</h2>"), "{html}");
    });
}
