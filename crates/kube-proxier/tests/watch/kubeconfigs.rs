//! Kubeconfigs as people write them, and as they break.

use std::fs;
use std::path::Path;

use kube_proxier::watch::{self, ApiSource};
use tempfile::TempDir;

use crate::api_server::{ApiServer, Authority, Tls};
use crate::objects::{NODE, node, service, slice};
use crate::watched::{Watched, timing};

fn server(tls: Option<Tls>) -> ApiServer {
    let server = ApiServer::start();
    tls.into_iter().for_each(|tls| server.encrypt(tls));
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    server
}

/// A kubeconfig of one context.
fn of(server: &str, cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters:\n- name: k\n  cluster: {{server: '{server}'{cluster}}}\n\
         users:\n- name: u\n  user: {{{user}}}\n\
         contexts:\n- name: c\n  context: {{cluster: k, user: u}}\n"
    )
}

fn source(folder: &TempDir, text: impl AsRef<[u8]>) -> ApiSource {
    let path = folder.path().join("kubeconfig");
    fs::write(&path, text).unwrap();
    ApiSource {
        kubeconfig: Some(path),
        master: None,
    }
}

/// Follows the server with it, and gives what each request had as authorization.
#[track_caller]
fn works(server: &ApiServer, folder: &TempDir, text: impl AsRef<[u8]>) -> Vec<Option<String>> {
    let mut watched = Watched::start_from(source(folder, text), timing(), 1000);
    watched.until("the services", |w| w.services() == [("web", 80)]);
    let asked = server.requests();
    asked.into_iter().map(|asked| asked.authorization).collect()
}

#[track_caller]
fn refused(source: &ApiSource) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let made = runtime.block_on(watch::client(source));
    let path = source.kubeconfig.as_deref().unwrap();
    let text = fs::read(path).unwrap_or_default();
    let error = made.err().map(|error| error.to_string());
    error.unwrap_or_else(|| panic!("taken: {}", String::from_utf8_lossy(&text)))
}

#[test]
fn files_are_beside_the_kubeconfig_and_marks_and_line_ends_do_not_matter() {
    let authority = Authority::new();
    let server = server(Some(Tls::new(&authority.identity("127.0.0.1"))));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pki")).unwrap();
    fs::write(folder.path().join("pki/ca.crt"), authority.pem()).unwrap();
    fs::write(folder.path().join("token"), "letmein\n").unwrap();
    let text = of(
        &server.url(),
        ", certificate-authority: pki/ca.crt",
        "tokenFile: token",
    );
    let marked = format!("\u{feff}{text}");
    let windows = text.replace('\n', "\r\n");
    let utf_16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [
        text.into_bytes(),
        marked.into_bytes(),
        windows.into_bytes(),
        utf_16,
    ] {
        for authorization in works(&server, &folder, text) {
            assert_eq!(authorization.as_deref(), Some("Bearer letmein"));
        }
    }
}

#[test]
fn a_server_may_be_known_by_another_name_or_not_at_all() {
    let (authority, another) = (Authority::new(), Authority::new());
    let server = server(Some(Tls::new(
        &authority.identity("kubernetes.default.svc"),
    )));
    let folder = tempfile::tempdir().unwrap();
    let known = format!(", certificate-authority-data: {}", authority.data());
    let named = format!("{known}, tls-server-name: kubernetes.default.svc");
    works(&server, &folder, of(&server.url(), &named, "token: t"));
    works(
        &server,
        &folder,
        of(
            &server.url(),
            ", insecure-skip-tls-verify: true",
            "token: t",
        ),
    );
    // By its address it is not the one that was certified, nor by another authority's word.
    let unknown = format!(
        ", certificate-authority-data: {}, tls-server-name: kubernetes.default.svc",
        another.data()
    );
    for cluster in [known, unknown] {
        let server = self::server(Some(Tls::new(
            &authority.identity("kubernetes.default.svc"),
        )));
        let text = of(&server.url(), &cluster, "token: t");
        let mut watched = Watched::start_from(source(&folder, text), timing(), 1000);
        watched.until_counted("failures", |counters| counters.failures() >= 6);
        assert_eq!(watched.take_in(), 0);
        assert_eq!(server.requests(), []);
    }
}

#[test]
fn a_password_or_a_command_may_log_in() {
    let server = server(None);
    let folder = tempfile::tempdir().unwrap();
    let text = of(&server.url(), "", "username: proxy, password: 'pass word'");
    for authorization in works(&server, &folder, text) {
        // base64 of "proxy:pass word".
        assert_eq!(authorization.as_deref(), Some("Basic cHJveHk6cGFzcyB3b3Jk"));
    }
    let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"of-the-command"}}"#;
    let server = self::server(None);
    let text = of(
        &server.url(),
        "",
        &exec(&format!("echo '\\''{credential}'\\''")),
    );
    for authorization in works(&server, &folder, text) {
        assert_eq!(authorization.as_deref(), Some("Bearer of-the-command"));
    }
}

/// A user whose token a shell prints.
fn exec(script: &str) -> String {
    let script = script.replace("'\\''", "''");
    format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', '{script}']}}"
    )
}

#[test]
fn of_two_contexts_the_current_one_counts() {
    let (right, wrong) = (server(None), server(None));
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: right\n\
         clusters:\n- name: wrong\n  cluster: {{server: '{}'}}\n- name: right\n  cluster: {{server: '{}'}}\n\
         users:\n- name: u\n  user: {{token: t}}\n\
         contexts:\n- name: wrong\n  context: {{cluster: wrong, user: u}}\n- name: right\n  context: {{cluster: right, user: u}}\n",
        wrong.url(),
        right.url()
    );
    works(&right, &folder, &text);
    assert_eq!(wrong.requests(), []);
    // Which one is meant is not guessed.
    let text = text.replace("current-context: right\n", "");
    let error = refused(&source(&folder, text));
    assert!(error.contains("context"), "{error}");
    assert_eq!(wrong.requests(), []);
}

#[test]
fn what_cannot_be_used_is_named_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = "https://10.0.0.1:6443";
    let good = of(url, "", "token: t");
    let mut wrong = Vec::new();
    for (text, part) in [
        (String::new(), "context"),
        ("\u{feff}".to_owned(), "context"),
        ("---\n".to_owned(), "context"),
        (
            good.replace("current-context: c", "current-context: other"),
            "other",
        ),
        (good.replace("user: u}", "user: nobody}"), "nobody"),
        (good.replace("cluster: k,", "cluster: nowhere,"), "nowhere"),
        (good.replace(url, ""), "url"),
        (good.replace(url, "not a url"), "url"),
        ("\u{0}\u{1}".to_owned(), ""),
        (good.replace("clusters:", "clusters: ["), ""),
        (
            good.replace(
                "token: t",
                "client-certificate: gone.crt, client-key: gone.key",
            ),
            "gone.crt",
        ),
        (
            good.replace(
                "token: t",
                "client-certificate-data: '%', client-key-data: '%'",
            ),
            "",
        ),
        (good.replace("token: t", &exec("echo garbage")), ""),
        (good.replace("token: t", &exec("exit 3")), ""),
        (good.replace("token: t", &exec("kill -9 $$")), ""),
        (
            good.replace(
                "token: t",
                "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-command}",
            ),
            "",
        ),
        (
            good.replace("server: '", "proxy-url: 'http://127.0.0.1:1', server: '"),
            "proxy",
        ),
    ] {
        let error = refused(&source(&folder, &text));
        if !error.to_lowercase().contains(part) {
            wrong.push(format!("{part}: {error}"));
        }
        assert!(!error.contains('\u{0}'), "{error:?}");
        let place = [folder.path().to_str().unwrap(), "10.0.0.1"];
        assert!(
            place.iter().any(|place| error.contains(place)),
            "{error}\n{text}"
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let directory = ApiSource {
        kubeconfig: Some(folder.path().to_owned()),
        master: None,
    };
    let error = refused(&directory);
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
    assert!(Path::new("/dev/null").exists());
    let nothing = ApiSource {
        kubeconfig: Some("/dev/null".into()),
        master: None,
    };
    assert!(refused(&nothing).contains("/dev/null"));
}
