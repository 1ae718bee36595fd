use std::sync::atomic::AtomicUsize;

use ipvs_netlink::{Scheduler, Statistics, VirtualServerConfig, VirtualServerId};
use proxier::cluster::Host;
use proxier::{Config, Engine, Kernel, Layout, MemoryKernel};

use super::*;
use crate::http::tests::run;

const CLUSTER: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, clusterIP: 10.96.0.7, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{name: dns, protocol: UDP, port: 53}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
ports: [{port: 8080}]
endpoints: [{addresses: [10.244.1.5], nodeName: node-a}, {addresses: [10.244.2.6], nodeName: node-b}]
";

/// An engine that has the cluster, and what its kernel holds of it.
fn synced(layout: Layout) -> (Engine, Vec<VirtualServer>) {
    let mut host = Host::new("node-a");
    let address = "192.168.10.10/24".parse().unwrap();
    host.links.insert("eth0".parse().unwrap(), address);
    let mut engine = Engine::new(host, Config::with_layout(layout));
    let cluster = proxier_manifest::read_cluster("test", CLUSTER.as_bytes()).cluster;
    for service in cluster.services.into_values() {
        engine.change(proxier::cluster::Change::Service(Box::new(service)));
    }
    for slice in cluster.slices.into_values() {
        engine.change(proxier::cluster::Change::Slice(Box::new(slice)));
    }
    let mut kernel = MemoryKernel::new();
    let plan = engine.audit(&kernel.observe().unwrap());
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{applied:?}");
    engine.applied(&plan, &applied);
    let servers = kernel.observe().unwrap().servers;
    let table = servers.iter().map(|server| {
        let mut found = VirtualServer::new(server.id, VirtualServerConfig::new(Scheduler::RR));
        let mut statistics = Statistics::default();
        statistics.totals.connections = 3;
        statistics.rates.outgoing_bytes = 1500;
        found.statistics = statistics;
        found
    });
    (engine, table.collect())
}

/// Metrics of an engine that answers what it is asked, and how often the kernel was read.
fn served(engine: Engine, table: Vec<VirtualServer>) -> (Traffic, SyncCount, Arc<AtomicUsize>) {
    let (events, mut received) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(Event::Asked(inquiry)) = received.recv().await {
            inquiry.answer(&engine);
        }
    });
    let (syncs, reads) = (SyncCount::default(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&reads);
    let read = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(table.clone())
    };
    let traffic = Traffic::reading(events, syncs.clone(), 10, Box::new(read));
    (traffic, syncs, reads)
}

#[test]
fn virtual_servers_are_those_of_service_ports_in_each_layout_of_ipvs() {
    for layout in [Layout::Current, Layout::Classic, Layout::Nftables] {
        run(async {
            let (engine, table) = synced(layout);
            let marks =
                |server: &&VirtualServer| matches!(server.id, VirtualServerId::FirewallMark { .. });
            let by_mark = table.iter().filter(marks).count();
            assert_eq!(by_mark > 0, layout == Layout::Nftables, "{table:?}");
            let of_web = table.len() - 1;
            assert!(of_web >= 2, "{table:?}");
            let (traffic, ..) = served(engine, table);
            let text = traffic.text().await;
            // A port without a name goes by its number.
            for line in [
                "# TYPE kube_proxier_service_connections_total counter".to_owned(),
                format!(
                    "kube_proxier_service_connections_total{{namespace=\"shop\",service=\"web\",port=\"80\"}} {}",
                    3 * of_web
                ),
                "kube_proxier_service_connections_total{namespace=\"kube-system\",service=\"dns\",port=\"dns\"} 3"
                    .to_owned(),
                "kube_proxier_service_bytes_per_second{namespace=\"kube-system\",service=\"dns\",port=\"dns\",direction=\"out\"} 1500"
                    .to_owned(),
                "kube_proxier_service_ports_without_series 0".to_owned(),
                "kube_proxier_traffic_read_failures_total 0".to_owned(),
            ] {
                assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
            }
            assert!(!text.contains("\"(other)\""), "{text}");
        });
    }
}

#[test]
fn scrapes_that_come_together_read_the_kernel_once() {
    run(async {
        let (engine, table) = synced(Layout::Current);
        let (traffic, _, reads) = served(engine, table);
        let scrapes: Vec<_> = (0..20)
            .map(|_| {
                let traffic = traffic.clone();
                tokio::spawn(async move { traffic.text().await })
            })
            .collect();
        for scrape in scrapes {
            assert!(scrape.await.unwrap().contains("service=\"web\""));
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn in_iptables_mode_there_is_nothing_and_nothing_is_read() {
    run(async {
        let (engine, table) = synced(Layout::Iptables);
        let (traffic, _, reads) = served(engine, table);
        assert_eq!(&*traffic.text().await, "");
        assert_eq!(reads.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn what_cannot_be_read_is_counted_and_all_else_is_served() {
    run(async {
        let (engine, _) = synced(Layout::Current);
        let (traffic, ..) = served(engine, Vec::new());
        let refused = || Err(ipvs_netlink::Error::NotLoaded);
        traffic.state.lock().await.read = Box::new(refused);
        let text = traffic.text().await;
        assert!(
            text.ends_with("\nkube_proxier_traffic_read_failures_total 1\n"),
            "{text}"
        );
        assert!(!text.contains("kube_proxier_service_"), "{text}");
    });
}

#[test]
fn a_loop_that_is_busy_is_not_waited_for_and_asked_again_only_after_a_sync() {
    run(async {
        let (engine, table) = synced(Layout::Current);
        let (events, mut received) = mpsc::channel(8);
        let syncs = SyncCount::default();
        let read = move || Ok(table.clone());
        let traffic = Traffic::reading(events, syncs.clone(), 10, Box::new(read));
        let answer = |inquiry: Option<Event>| match inquiry {
            Some(Event::Asked(inquiry)) => inquiry.answer(&engine),
            other => panic!("{other:?}"),
        };
        let first = tokio::spawn({
            let traffic = traffic.clone();
            async move { traffic.text().await }
        });
        answer(received.recv().await);
        assert!(first.await.unwrap().contains("service=\"web\""));
        let again = || async {
            traffic.state.lock().await.answer = None;
            traffic.text().await
        };
        // Nothing was synced since: nobody is asked.
        assert!(again().await.contains("service=\"web\""));
        assert!(received.try_recv().is_err());
        // Nobody answers: what was known is served.
        syncs.more();
        assert!(again().await.contains("service=\"web\""));
        assert!(received.try_recv().is_ok());
    });
}
