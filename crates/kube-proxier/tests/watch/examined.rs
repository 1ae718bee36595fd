//! What the doctor finds out of an API server.

use kube_proxier::watch::{self, ApiSource, Examination};

use crate::api_server::ApiServer;
use crate::objects::{NODE, node};

fn examined(server: &ApiServer, name: &str) -> Examination {
    let source = ApiSource {
        kubeconfig: None,
        master: Some(server.url()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = watch::client(&source).await.unwrap();
        watch::examine(&client, name).await
    })
}

#[test]
fn a_server_is_tried_for_all_that_the_daemon_asks_of_it() {
    let server = ApiServer::start();
    server.put(node(NODE));
    let good = examined(&server, NODE);
    assert_eq!(good.ready, Ok(()));
    assert_eq!(good.missing_rights, Ok(Vec::new()));
    assert_eq!(good.has_node, Ok(true));
    assert_eq!(examined(&server, "nobody").has_node, Ok(false));
    assert_eq!(good.missing_optional_rights, Ok(Vec::new()));
    server.deny("create events");
    let found = examined(&server, NODE);
    assert_eq!(found.missing_rights, Ok(Vec::new()));
    let optional = found.missing_optional_rights;
    assert_eq!(optional, Ok(vec!["create events".to_owned()]));
    server.deny("watch endpointslices");
    let rights = examined(&server, NODE).missing_rights;
    assert_eq!(rights, Ok(vec!["watch endpointslices".to_owned()]));
    server.unready(true);
    let error = examined(&server, NODE).ready.unwrap_err();
    assert!(error.contains("500"), "{error}");
    server.stop();
    let error = examined(&server, NODE).ready.unwrap_err();
    assert!(error.contains("cannot be reached"), "{error}");
}
