//! What is shown.

use crate::{Run, beside_a_good_one, ipvs, service};

#[test]
fn without_arguments_it_shows_a_cluster() {
    let ran = Run::new().with(&[]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    for part in [
        "+ ipvs      -A -t 10.96.0.1:443 -s rr -p 10800",
        "Plan: ",
        "KUBE-MARK-MASQ",
        "InActConn",
    ] {
        assert!(ran.out.contains(part), "{part}");
    }
    assert!(
        !ran.out.contains('\u{1b}'),
        "no colour where nobody sees it"
    );
}

#[test]
fn each_output_form_is_what_it_says() {
    let run = Run::new();
    let json = run.with(&["--output", "json"]);
    assert!(ipvs(&json.out).contains(&"-A -t 10.96.0.10:53 -s rr".to_owned()));
    let plan = run.with(&["--output", "plan", "--layout", "classic"]);
    assert!(plan.out.contains("-N KUBE-MARK-DROP") && !plan.out.contains("InActConn"));
}

#[test]
fn iptables_mode_is_asked_for_by_flag_or_configuration() {
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    let run = Run::new()
        .file("iptables.yaml", format!("{head}mode: iptables\n"))
        .file("ipvs.yaml", format!("{head}mode: ipvs\n"));
    let json = |args: &[&str]| {
        let ran = run.with(&[args, &["--output", "json"]].concat());
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        ran.out
    };
    let by_flag = json(&["--mode", "iptables"]);
    assert!(ipvs(&by_flag).is_empty());
    assert!(by_flag.contains("-j KUBE-SVC-NPX46M4PTMTKRN6Y"));
    assert_eq!(json(&["--config", "iptables.yaml"]), by_flag);
    let flag_first = ["--config", "ipvs.yaml", "--mode", "iptables"];
    assert_eq!(json(&flag_first), by_flag);
    let flag_first = ["--config", "iptables.yaml", "--mode", "ipvs"];
    assert_eq!(json(&flag_first), json(&[]));

    let plan = run.with(&["--mode", "iptables", "--output", "plan"]);
    let named = |line: &&str| line.ends_with("# games/arena:play");
    // The cluster IP and the node port lead there; two rules are for outside, two choose, two are the endpoint's.
    assert_eq!(plan.out.lines().filter(named).count(), 8, "{}", plan.out);
    let summary = run.with(&["--mode", "iptables", "--output", "summary"]);
    assert!(summary.out.contains("Services: 4, of which 4 are served."));
}

#[test]
fn the_nftables_layout_is_shown_as_its_tools_show_it() {
    let run = Run::new();
    let text = run.with(&["--layout", "nftables"]);
    assert_eq!((text.status, text.err.as_str()), (0, ""));
    for part in [
        "+ nft       element ip kube-proxier services { 10.96.0.1 . tcp . 443 }  # default/kubernetes",
        "+ rule      priority 78 fwmark 0x2000/0x2000 table 8192 protocol 77",
        "+ ipvs      -A -t 10.96.0.1:443 -s rr -p 10800 -b flag-3",
        "table ip kube-proxier {",
        "78: from all fwmark 0x2000/0x2000 lookup 8192 proto 77",
        "local default dev lo table 8192 proto 77",
    ] {
        assert!(text.out.contains(part), "{part} is not in:\n{}", text.out);
    }
    assert!(!text.out.contains("KUBE-") && !text.out.contains("(ipset list)"));
    let json = run.with(&["--layout", "nftables", "--output", "json"]);
    let state: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let lines = |key: &str| state[key].as_array().unwrap().len();
    assert!(lines("nft") > 50 && lines("rules") == 4 && lines("routes") == 2);
    assert_eq!((lines("ipset"), lines("iptables")), (0, 0));
}

#[test]
fn a_summary_is_one_screen_with_warnings_last() {
    let services: String = (0..200)
        .map(|n| {
            service(
                &format!("web-{n}"),
                &format!("10.0.1.{n}"),
                "{port: 80}",
                "",
            ) + "---\n"
        })
        .collect();
    let zeros = service("zeros", "010.0.0.9", "{port: 80}", "");
    let run = Run::new()
        .file("few.yaml", beside_a_good_one(&zeros))
        .file("many.yaml", services);
    let ran = run.with(&["--output", "summary", "few.yaml"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let lines: Vec<_> = ran.out.lines().collect();
    for (n, words) in [
        (
            1,
            vec![
                "default/zeros",
                "ClusterIP",
                "10.0.0.9:80/TCP",
                "refused:",
                "no",
                "endpoints",
            ],
        ),
        (
            2,
            vec![
                "default/web",
                "ClusterIP",
                "10.0.0.7:80/TCP",
                "1",
                "endpoint",
            ],
        ),
        (
            3,
            vec!["Services:", "2,", "of", "which", "1", "are", "served."],
        ),
    ] {
        let found: Vec<_> = lines[n].split_whitespace().collect();
        assert_eq!(found, words, "{}", ran.out);
    }
    assert_eq!(lines[5], "Warnings:");
    assert!(
        lines[6].contains("warning: few.yaml: document 3"),
        "{}",
        ran.out
    );
    let ran = run.with(&["--output", "summary", "many.yaml"]);
    assert!(ran.out.lines().count() <= 40, "{}", ran.out);
    assert!(ran.out.contains("… and 180 more Services"), "{}", ran.out);
}

#[test]
fn each_line_of_a_plan_names_its_service() {
    let ran = Run::new().with(&["--output", "plan"]);
    for (line, service) in [
        ("-A -t 10.96.0.1:443 -s rr -p 10800", "default/kubernetes"),
        ("-a -t 10.96.0.1:443 ", "default/kubernetes"),
        (
            "add KUBE-CLUSTER-IP 10.96.0.1,tcp:443",
            "default/kubernetes",
        ),
        ("address   10.96.0.1 dev kube-ipvs0", "default/kubernetes"),
    ] {
        let found = ran.out.lines().find(|found| found.contains(line));
        let found = found.unwrap_or_else(|| panic!("{line}\n{}", ran.out));
        let (_, named) = found
            .split_once("  # ")
            .unwrap_or_else(|| panic!("{found}"));
        assert!(named.starts_with(service), "{found}");
    }
    // What goes was for a Service that is gone, too.
    let run = Run::new()
        .file(
            "1.yaml",
            beside_a_good_one(&service("db", "10.0.0.8", "{name: sql, port: 5432}", "")),
        )
        .file("2.yaml", beside_a_good_one(""));
    let ran = run.with(&["--output", "plan", "1.yaml", "2.yaml"]);
    let gone = "- ipvs      -D -t 10.0.0.8:5432  # default/db:sql";
    assert!(ran.out.contains(gone), "{}", ran.out);
    let of_services = ran
        .out
        .lines()
        .filter(|line| line.contains("KUBE-CLUSTER-IP 10."));
    assert!(
        of_services.clone().count() > 2
            && of_services
                .clone()
                .all(|line| line.contains("  # default/"))
    );
}

#[test]
fn objects_not_used_are_counted_by_kind() {
    let pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\napiVersion: v1\nkind: Pod\n\
         metadata: {name: q}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
    let run = Run::new().file("c.yaml", beside_a_good_one(pods));
    let ran = run.with(&["--output", "plan", "c.yaml"]);
    assert_eq!(ran.status, 0);
    ran.refuses(&["c.yaml: objects not used: ConfigMap 1, Pod 2"]);
}

/// Texts of objects cannot forge lines on a terminal.
#[test]
fn texts_from_outside_are_escaped() {
    let name = r#""x\nreconcile: all is well\u202e""#;
    let text = format!(
        "{{\"kind\": \"Service\", \"apiVersion\": \"v1\", \"metadata\": {{\"name\": {name}}}, \
         \"spec\": {{\"type\": {name}, \"clusterIP\": \"10.0.0.1\"}}}}"
    );
    let ran = Run::new().file("c.json", text).with(&["c.json"]);
    assert!(!ran.err.contains("\nreconcile: all is well"), "{}", ran.err);
    assert!(!ran.err.contains('\u{202e}'));
}

#[test]
fn a_bad_configuration_is_refused_with_all_its_faults() {
    let run = Run::new().file(
        "config.yaml",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
         mode: ipvs\nipvs: {schedular: rr, tcpTimeout: soon}\n",
    );
    let ran = run.with(&["--config", "config.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    ran.refuses(&[
        "config.yaml: ipvs.schedular: there is no such field",
        "config.yaml: ipvs.tcpTimeout",
    ]);
    let run = run.file(
        "config.yaml",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\niptables: {masqueradeBit: 15}\n",
    );
    assert_eq!(run.with(&["--config", "config.yaml"]).status, 0);
    assert_eq!(
        run.with(&["--config", "config.yaml", "--layout", "classic"])
            .status,
        2
    );
}
