//! What the pictures in `docs/` are made of.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kernel_test::cmd;
use serde_json::{Value, json};

use super::FIELDS;
use crate::api_server::ApiServer;
use crate::cluster::service;
use crate::daemon::{BINARY, METRICS, Setup, request};
use scenarios::client::{Conversation, Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::Topology;

/// Prints what the pictures in `docs/` are made of: the page, and `top` as a terminal has it, of a node with traffic.
pub(crate) fn pictures() {
    let net = Topology::new();
    serve(&net.pod, "pod", 8080);
    serve(&net.pod, "dns", 53);
    net.node.cmd("ip route add default via 192.168.10.2");
    let server = ApiServer::start();
    let list: Value =
        serde_saphyr::from_str(include_str!("../../../../../examples/data/cluster.yaml")).unwrap();
    // Its pods of this node have the address of the one that there is.
    let text = list.to_string();
    let text = ["10.244.1.2\"", "10.244.1.15\"", "10.244.1.33\""]
        .iter()
        .fold(text, |text, pod| text.replace(pod, "10.244.1.5\""));
    let mut list: Value =
        serde_json::from_str(&text.replace("203.0.113.0/24", "192.168.10.0/24")).unwrap();
    // So that the Service that comes later is the younger one.
    for object in list["items"].as_array_mut().unwrap() {
        object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    server.apply_step(list["items"].as_array().unwrap().iter().cloned());
    let mut younger = service("copy-of-shop", "10.96.7.21");
    younger["spec"]["externalIPs"] = json!(["198.51.100.7"]);
    younger["metadata"]["creationTimestamp"] = "2026-05-01T00:00:00Z".into();
    server.put(younger);
    let setup = Setup::new(&server, FIELDS);
    let mut daemon = setup.started();
    daemon.wait_until("all", || {
        match cmd("ipvsadm -Ln").contains("198.51.100.7:80") {
            true => Ok(()),
            false => Err(setup.log()),
        }
    });
    // Of two endpoints, those that this node does not have would not answer.
    let objects = list["items"].as_array().unwrap().iter().cloned();
    for mut slice in objects.filter(|object| object["kind"] == "EndpointSlice") {
        if let Some(endpoints) = slice["endpoints"].as_array_mut() {
            endpoints.retain(|endpoint| endpoint["addresses"][0] != "10.244.2.16");
            endpoints.retain(|endpoint| endpoint["addresses"][0] != "10.244.2.2");
        }
        server.put(slice);
    }
    thread::sleep(Duration::from_secs(2));
    let shop = "198.51.100.7:80".parse().unwrap();
    let mut open: Vec<_> = (0..6)
        .map(|_| Conversation::with(&net.client, shop).0)
        .collect();
    let mut top = None;
    for round in 0..2000 {
        for conversation in &mut open {
            conversation.say("words ".repeat(500).trim_end());
        }
        answer(
            &net.client,
            Protocol::Tcp,
            "192.168.10.10:30080".parse().unwrap(),
        );
        answer(&net.pod, Protocol::Udp, "10.96.0.10:53".parse().unwrap());
        if round == 40 {
            let script = format!(
                "stty cols 120 rows 24; timeout --foreground --signal=INT 25 {BINARY} top {}",
                setup.config_flag()
            );
            let mut command = Command::new("script");
            command
                .args(["--quiet", "--flush", "--command", &script])
                .arg(setup.folder().join("typescript"));
            top = Some(
                command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
                    .unwrap(),
            );
        }
        if let Some(top) = &mut top
            && top.try_wait().unwrap().is_some()
        {
            break;
        }
        thread::sleep(Duration::from_millis(60));
    }
    if let Some(mut top) = top {
        top.wait().unwrap();
    }
    cmd("ipvsadm -D -t 10.96.8.30:7777 || ipvsadm -D -u 10.96.8.30:7777");
    thread::sleep(Duration::from_secs(4));
    let terminal = fs::read_to_string(setup.folder().join("typescript")).unwrap();
    println!("=== top {}", serde_json::to_string(&terminal).unwrap());
    let (head, page) = request(METRICS, "/").unwrap();
    println!("=== head {}", serde_json::to_string(&head).unwrap());
    println!("=== page {}", serde_json::to_string(&page).unwrap());
    drop(open);
}
