//! The manifests in `deploy/base/` and the unit in `deploy/systemd`: that they hold together, and ask for no more than the
//! daemon needs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::fs;
use std::path::PathBuf;

use proxier_manifest::ConfigDocument;
use serde_json::{Value, json};

/// A file in `deploy/`.
fn file(path: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    fs::read_to_string(folder.join(path)).unwrap()
}

fn text(name: &str) -> String {
    file(&format!("base/{name}"))
}

/// The documents of a file.
fn documents(file: &str) -> Vec<Value> {
    text(file)
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn only(file: &str) -> Value {
    let mut all = documents(file);
    assert_eq!(all.len(), 1, "{file}");
    all.remove(0)
}

fn config() -> String {
    let config = &only("configmap.yaml")["data"]["config.conf"];
    config.as_str().unwrap().to_owned()
}

fn pod() -> Value {
    only("daemonset.yaml")["spec"]["template"]["spec"].clone()
}

#[test]
fn the_configuration_is_read_and_nothing_in_it_is_unused() {
    let document = ConfigDocument::read("config.conf", config().as_bytes()).unwrap();
    let reading = kube_proxier::config::read(&document).unwrap();
    assert_eq!(reading.unused, Vec::<Box<str>>::new());
    assert_eq!(reading.config.scheduler.to_string(), "rr");
    assert!(!reading.config.strict_arp);
    let raw: Value = serde_saphyr::from_str(&config()).unwrap();
    assert_eq!(raw["mode"], "ipvs");
    // It must be reached by the probes, and the metrics by nobody else.
    assert_eq!(raw["healthzBindAddress"], "0.0.0.0:10256");
    assert_eq!(raw["metricsBindAddress"], "127.0.0.1:10249");
}

#[test]
fn the_kubeconfig_is_where_the_configuration_says_and_logs_in_as_the_service_account() {
    let raw: Value = serde_saphyr::from_str(&config()).unwrap();
    let path = raw["clientConnection"]["kubeconfig"].as_str().unwrap();
    let mounted = &pod()["containers"][0]["volumeMounts"][0]["mountPath"];
    let file = path
        .strip_prefix(&format!("{}/", mounted.as_str().unwrap()))
        .unwrap();
    let text = only("configmap.yaml")["data"][file].clone();
    let kubeconfig: Value = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
    let secrets = "/var/run/secrets/kubernetes.io/serviceaccount";
    assert_eq!(
        kubeconfig["users"][0]["user"]["tokenFile"],
        format!("{secrets}/token")
    );
    assert_eq!(
        kubeconfig["clusters"][0]["cluster"]["certificate-authority"],
        format!("{secrets}/ca.crt")
    );
    let context = &kubeconfig["contexts"][0];
    assert_eq!(context["name"], kubeconfig["current-context"]);
    assert_eq!(
        context["context"],
        json!({
            "cluster": kubeconfig["clusters"][0]["name"],
            "user": kubeconfig["users"][0]["name"],
        })
    );
}

#[test]
fn the_rights_are_those_to_list_and_watch_what_is_watched_and_to_create_events() {
    let [account, role, binding] = &documents("rbac.yaml")[..] else {
        unreachable!("three documents")
    };
    let mut granted = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        let fields: Vec<_> = rule.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["apiGroups", "resources", "verbs"]);
        let strings =
            |field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap() };
        for group in strings("apiGroups") {
            for resource in strings("resources") {
                let mut verbs = strings("verbs");
                verbs.sort();
                granted.push((group.clone(), resource, verbs.join(" ")));
            }
        }
    }
    granted.sort();
    let expected = [
        ("", "nodes", "list watch"),
        ("", "services", "list watch"),
        ("discovery.k8s.io", "endpointslices", "list watch"),
        ("events.k8s.io", "events", "create"),
    ]
    .map(|(group, resource, verbs)| (group.to_owned(), resource.to_owned(), verbs.to_owned()));
    assert_eq!(granted, expected);

    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let subject = &binding["subjects"][0];
    for field in ["name", "namespace"] {
        assert_eq!(subject[field], account["metadata"][field]);
    }
    assert_eq!(pod()["serviceAccountName"], account["metadata"]["name"]);
    let namespace = &only("daemonset.yaml")["metadata"]["namespace"];
    assert_eq!(account["metadata"]["namespace"], *namespace);
    assert_eq!(only("configmap.yaml")["metadata"]["namespace"], *namespace);
}

#[test]
fn the_daemon_has_two_capabilities_and_is_not_privileged() {
    let pod = pod();
    let container = &pod["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["privileged"], false);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(
        security["capabilities"],
        json!({"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]})
    );
    assert_eq!(pod["hostNetwork"], true);
    assert!(pod.get("hostPID").is_none() && pod.get("hostIPC").is_none());
    // The one that is privileged ends before the daemon starts.
    let init = pod["initContainers"].as_array().unwrap();
    let arguments: Vec<String> = serde_json::from_value(init[0]["args"].clone()).unwrap();
    assert_eq!(init.len(), 1);
    assert!(arguments.contains(&"--init-only".to_owned()));
    assert_eq!(init[0]["image"], container["image"]);
}

#[test]
fn what_the_pod_refers_to_is_there() {
    let pod = pod();
    let volumes: Vec<&str> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| volume["name"].as_str().unwrap())
        .collect();
    for kind in ["containers", "initContainers"] {
        for mount in pod[kind][0]["volumeMounts"].as_array().unwrap() {
            assert!(
                volumes.contains(&mount["name"].as_str().unwrap()),
                "{mount}"
            );
            let written = mount.get("readOnly").is_none();
            assert_eq!(written, mount["name"] == "xtables-lock", "{mount}");
        }
    }
    let map = only("configmap.yaml");
    assert_eq!(
        pod["volumes"][0]["configMap"]["name"],
        map["metadata"]["name"]
    );
    let container = &pod["containers"][0];
    let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    let mounted = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    let file = map["data"].as_object().unwrap().keys().next().unwrap();
    assert!(arguments.contains(&format!("--config={mounted}/{file}")));
    let port = &container["ports"][0]["containerPort"];
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/healthz"),
    ] {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["path"], &get["port"]), (&json!(path), port));
    }
    assert_eq!(*port, 10256);
    let selector = &only("daemonset.yaml")["spec"]["selector"]["matchLabels"];
    let labels = &only("daemonset.yaml")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(selector, labels);
    assert_eq!(pod["priorityClassName"], "system-node-critical");
}

/// The values of a setting in the unit file, in their order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .collect()
}

#[test]
fn the_unit_starts_what_the_daemonset_starts() {
    let unit = file("systemd/kube-proxier.service");
    let [init] = settings(&unit, "ExecStartPre")[..] else {
        unreachable!("one line")
    };
    let [run] = settings(&unit, "ExecStart")[..] else {
        unreachable!("one line")
    };
    // The init container is privileged.
    assert_eq!(init, format!("+{run} --init-only"));
    let (program, flags) = run.split_once(' ').unwrap();
    assert_eq!(program, "/usr/bin/kube-proxier");
    kube_proxier::options::Flags::read(["kube-proxier"].into_iter().chain(flags.split(' ')))
        .unwrap();
    let config = flags.strip_prefix("--config=").unwrap();
    assert_eq!(settings(&unit, "ConditionPathExists"), [config]);
    let capabilities = &pod()["containers"][0]["securityContext"]["capabilities"]["add"];
    let granted: Vec<_> = settings(&unit, "CapabilityBoundingSet")[0]
        .split(' ')
        .map(|name| name.trim_start_matches("CAP_"))
        .collect();
    assert_eq!(json!(granted), *capabilities);
}

#[test]
fn the_configuration_for_the_unit_is_that_of_the_pod_but_for_paths() {
    let text = file("systemd/config.conf");
    let document = ConfigDocument::read("config.conf", text.as_bytes()).unwrap();
    let reading = kube_proxier::config::read(&document).unwrap();
    assert_eq!(reading.unused, Vec::<Box<str>>::new());
    let pods = config();
    let document = ConfigDocument::read("config.conf", pods.as_bytes()).unwrap();
    assert_eq!(
        reading.config,
        kube_proxier::config::read(&document).unwrap().config
    );
    let raw: Value = serde_saphyr::from_str(&text).unwrap();
    let kubeconfig = raw["clientConnection"]["kubeconfig"].as_str().unwrap();
    assert_eq!(kubeconfig, "/etc/kube-proxier/kubeconfig.conf");
    let kubeconfig: Value = serde_saphyr::from_str(&file("systemd/kubeconfig.conf")).unwrap();
    let context = &kubeconfig["contexts"][0];
    assert_eq!(context["name"], kubeconfig["current-context"]);
    assert_eq!(context["context"]["user"], kubeconfig["users"][0]["name"]);
}
