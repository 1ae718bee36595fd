//! What kustomize and Helm make of `deploy/`, beside its plain files.
//!
//! `.ci/deploy` runs these tests: it has `kubectl` and `helm`, and names their folder in `PROXIER_DEPLOY_TOOLS`. Without
//! the variable they are looked for in the `PATH`; what is not there is said, and not tested.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they leave out"
)]

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kube_proxier::options::Flags;
use serde_json::{Value, json};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(path)
}

/// Runs a tool in `deploy/`. `None` if it is not there and nothing promised that it is.
fn run(tool: &str, arguments: &[&str]) -> Option<Output> {
    let folder = env::var_os("PROXIER_DEPLOY_TOOLS");
    let program = folder
        .as_ref()
        .map_or(tool.into(), |folder| Path::new(folder).join(tool));
    match Command::new(program)
        .args(arguments)
        .current_dir(deploy(""))
        .output()
    {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_none() => {
            eprintln!("not tested: there is no {tool} (.ci/deploy has one)");
            None
        }
        Err(error) => panic!("{tool}: {error}"),
    }
}

fn kustomize(folder: &str) -> Option<Vec<Value>> {
    run("kubectl", &["kustomize", folder]).map(|output| rendered(&output))
}

fn helm(arguments: &[&str]) -> Option<Output> {
    let template = [
        "template",
        "kube-proxier",
        "chart",
        "--namespace",
        "kube-system",
    ];
    run("helm", &[&template, arguments].concat())
}

fn rendered(output: &Output) -> Vec<Value> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    sorted(documents(&String::from_utf8_lossy(&output.stdout)))
}

/// The documents of a text. Configuration files within are read too: their comments and the order of their fields do not
/// matter.
fn documents(text: &str) -> Vec<Value> {
    let documents = text
        .split("\n---\n")
        .map(|text| serde_saphyr::from_str(text).unwrap());
    let mut all: Vec<Value> = documents
        .filter(|document: &Value| !document.is_null())
        .collect();
    for document in &mut all {
        if let Some(data) = document["data"].as_object_mut() {
            for text in data.values_mut() {
                *text = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
            }
        }
    }
    all
}

fn sorted(mut documents: Vec<Value>) -> Vec<Value> {
    documents.sort_by_key(|document| document["kind"].to_string());
    documents
}

fn plain() -> Vec<Value> {
    let files = ["rbac.yaml", "configmap.yaml", "daemonset.yaml"];
    let text = |file: &str| fs::read_to_string(deploy("base").join(file)).unwrap();
    sorted(
        files
            .iter()
            .flat_map(|file| documents(&text(file)))
            .collect(),
    )
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Option<&'a Value> {
    documents.iter().find(|document| document["kind"] == kind)
}

fn pod(documents: &[Value]) -> Value {
    of_kind(documents, "DaemonSet").unwrap()["spec"]["template"]["spec"].clone()
}

#[test]
fn the_kustomize_base_is_the_plain_files() {
    if let Some(base) = kustomize("base") {
        assert_eq!(base, plain());
    }
}

#[test]
fn the_chart_without_values_is_the_plain_files() {
    if let Some(chart) = helm(&[]) {
        assert_eq!(rendered(&chart), plain());
    }
}

/// A pod for layout `nftables` has nothing that is there for iptables.
fn check_nftables(pod: &Value) {
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"]["capabilities"]["add"],
        json!(["NET_ADMIN"])
    );
    let names = |list: &Value| -> Vec<Value> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].clone())
            .collect()
    };
    assert_eq!(names(&pod["volumes"]), ["config"]);
    for container in [container, &pod["initContainers"][0]] {
        assert_eq!(names(&container["volumeMounts"]), ["config"]);
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
        assert!(
            arguments.contains(&"--layout=nftables".to_owned()),
            "{arguments:?}"
        );
        Flags::read(["kube-proxier".to_owned()].into_iter().chain(arguments)).unwrap();
    }
}

#[test]
fn the_overlay_for_nftables_needs_no_iptables() {
    if let Some(overlay) = kustomize("overlays/nftables") {
        let pod = pod(&overlay);
        check_nftables(&pod);
        assert_eq!(pod["containers"][0]["image"], "kube-proxier:0.2.0-scratch");
    }
}

#[test]
fn the_chart_for_nftables_differs_from_the_overlay_in_the_image_alone() {
    let arguments = ["--set=layout=nftables", "--set=image.tag=0.2.0-scratch"];
    let (Some(chart), Some(overlay)) = (helm(&arguments), kustomize("overlays/nftables")) else {
        return;
    };
    // In another order, the flags are the same.
    let with_sorted_flags = |mut documents: Vec<Value>| {
        for document in &mut documents {
            for kind in ["containers", "initContainers"] {
                let flags = document.pointer_mut(&format!("/spec/template/spec/{kind}/0/args"));
                if let Some(flags) = flags {
                    flags.as_array_mut().unwrap().sort_by_key(Value::to_string);
                }
            }
        }
        documents
    };
    let chart = with_sorted_flags(rendered(&chart));
    check_nftables(&pod(&chart));
    assert_eq!(chart, with_sorted_flags(overlay));
}

#[test]
fn values_of_the_chart_are_followed() {
    let arguments = [
        "--set=image.repository=registry.test/kube-proxier,image.pullPolicy=Always",
        "--set=init.enabled=false,server=https://192.0.2.1:6443",
        "--set=config.ipvs.scheduler=wrr,extraArgs={--v=2}",
        "--set=podAnnotations.a=b,nodeSelector.service-proxy=null",
    ];
    let Some(output) = helm(&arguments) else {
        return;
    };
    let chart = rendered(&output);
    let pod = pod(&chart);
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "registry.test/kube-proxier:0.2.0");
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(
        container["args"].as_array().unwrap().last().unwrap(),
        "--v=2"
    );
    assert!(pod.get("initContainers").is_none());
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    let template = &of_kind(&chart, "DaemonSet").unwrap()["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"], json!({"a": "b"}));
    let data = &of_kind(&chart, "ConfigMap").unwrap()["data"];
    assert_eq!(data["config.conf"]["ipvs"]["scheduler"], "wrr");
    assert_eq!(
        data["config.conf"]["ipvs"]["syncPeriod"], "30s",
        "the rest stays"
    );
    let server = &data["kubeconfig.conf"]["clusters"][0]["cluster"]["server"];
    assert_eq!(server, "https://192.0.2.1:6443");
}

#[test]
fn a_config_map_that_is_there_is_taken() {
    if let Some(output) = helm(&["--set=existingConfigMap=kube-proxy"]) {
        let chart = rendered(&output);
        assert!(of_kind(&chart, "ConfigMap").is_none());
        assert_eq!(pod(&chart)["volumes"][0]["configMap"]["name"], "kube-proxy");
    }
}

#[test]
fn values_that_the_chart_does_not_have_are_refused() {
    for (value, field) in [
        ("layout=iptables", "/layout"),
        ("config.clientConnection.kubeconfig=x", "/config"),
        ("extraArgs={v=2}", "/extraArgs/0"),
        ("image.name=x", "/image"),
        ("server=192.0.2.1", "/server"),
        ("sever=https://192.0.2.1", "sever"),
    ] {
        if let Some(output) = helm(&["--set", value]) {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{value}");
            assert!(errors.contains(field), "{value}: {errors}");
        }
    }
}
