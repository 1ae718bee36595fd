//! What a file can be.

use crate::{Run, beside_a_good_one, case, ipvs};

#[test]
fn files_that_say_nothing_change_nothing() {
    let mut garbage = vec![0u8; 10 << 20];
    let mut seed = 7u32;
    for byte in &mut garbage {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (seed >> 24) as u8;
    }
    let bomb: String = (0..30).fold("a0: &a0 x\n".to_owned(), |text, n| {
        text + &format!("a{}: &a{} [*a{n}, *a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)
    });
    let run = Run::new()
        .file("good.yaml", beside_a_good_one(""))
        .file("empty", "")
        .file("comments", "# nothing\n---\n# here\n")
        .file("garbage", garbage)
        .file("bomb", bomb)
        .file("text", "hello\n");
    for nothing in ["empty", "comments", "garbage", "bomb", "text"] {
        let ran = run.with(&["--output", "json", nothing]);
        assert_eq!(ran.status, 2, "{nothing}: {}", ran.err);
        assert!(!ran.err.is_empty());
        let ran = run.with(&["--output", "json", "good.yaml", nothing]);
        assert_eq!((ran.status, ipvs(&ran.out).len()), (1, 2), "{nothing}");
    }
    assert_eq!(run.with(&["missing.yaml"]).status, 2);
    assert_eq!(run.with(&["--no-such-option"]).status, 2);
}

#[test]
fn what_is_not_a_list_changes_nothing() {
    let mut run = Run::new().file("good.yaml", beside_a_good_one(""));
    let mut names = vec![
        "empty-object.json",
        "pod-list.json",
        "pod-only.yaml",
        "status.json",
    ];
    for name in &names {
        run = run.file(name, case(&format!("lists/{name}")));
    }
    run = run.file(
        "null.json",
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":null}"#,
    );
    names.push("null.json");
    for name in names {
        let ran = run.with(&["--output", "json", name]);
        assert_eq!(ran.status, 2, "{name}: {}", ran.err);
        ran.refuses(&["nothing is changed for it"]);
        let ran = run.with(&["--output", "json", "good.yaml", name]);
        assert_eq!((ran.status, ipvs(&ran.out).len()), (1, 2), "{name}");
    }
    run.with(&["status.json"]).refuses(&["Unauthorized"]);
    // A cluster without Services, by a list of them.
    let run = run.file(
        "none.json",
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}"#,
    );
    let ran = run.with(&["--output", "json", "good.yaml", "none.json"]);
    assert_eq!((ran.status, ipvs(&ran.out).len()), (0, 0), "{}", ran.err);
}

#[test]
fn the_node_is_found_or_named() {
    let node =
        |name: &str| format!("---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n");
    let nodes = format!(
        "{}{}{}",
        beside_a_good_one(""),
        node("node-a"),
        node("node-b")
    );
    let run = Run::new().file("c.yaml", nodes);
    let ran = run.with(&["--hostname-override", "node-x", "c.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    ran.refuses(&[
        "no Node is called node-x",
        "--hostname-override: node-a, node-b",
    ]);
    let ran = run.with(&[
        "--hostname-override",
        " Node-B ",
        "--output",
        "summary",
        "c.yaml",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("c.yaml on Node node-b"), "{}", ran.out);
    assert_eq!(run.with(&["--hostname-override", " ", "c.yaml"]).status, 2);
}

/// Files as PowerShell and `kubectl get --raw` make them.
#[test]
fn other_ways_of_writing_a_cluster_are_read() {
    let text = beside_a_good_one("");
    let utf16 = |order: fn(u16) -> [u8; 2]| {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(order).collect::<Vec<_>>()
    };
    let raw = r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[
        {"metadata":{"name":"web","namespace":"default"},
         "spec":{"clusterIP":"10.0.0.7","ports":[{"name":"http","port":80}]}}]}
        {"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"8"},"items":[
        {"metadata":{"name":"web-1","namespace":"default","labels":{"kubernetes.io/service-name":"web"}},
         "addressType":"IPv4","endpoints":[{"addresses":["10.244.1.5"]}],"ports":[{"name":"http","port":8080}]}]}
        {"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"n"}}]}"#;
    let run = Run::new()
        .file("le.yaml", utf16(u16::to_le_bytes))
        .file("be.yaml", utf16(u16::to_be_bytes))
        .file("raw.json", raw);
    for name in ["le.yaml", "be.yaml", "raw.json"] {
        let ran = run.with(&["--output", "json", name]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}");
        let expected = [
            "-A -t 10.0.0.7:80 -s rr",
            "-a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1",
        ];
        assert_eq!(ipvs(&ran.out), expected, "{name}");
    }
}
