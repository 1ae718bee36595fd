//! What the daemon needs of the API server.

use std::path::PathBuf;

use tokio::runtime::Builder;

use super::{Check, Verdict};
use crate::options::Options;
use crate::watch::{self, ApiError, ApiSource, Examination};

const NAME: &str = "API server";

/// Tries to log in, and what the daemon asks for. Blocks for up to half a minute.
#[must_use]
pub fn api(options: &Options) -> Vec<Check> {
    let source = ApiSource {
        kubeconfig: options.process.kubeconfig.as_deref().map(PathBuf::from),
        master: options.master.as_deref().map(Into::into),
    };
    let fails = |error: String, remedy: &str| vec![Check::no(Verdict::Fails, NAME, error, remedy)];
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fails(error.to_string(), ""),
    };
    let checks = runtime.block_on(async {
        let client = match watch::client(&source).await {
            Ok(client) => client,
            Err(ApiError::InCluster(_)) => {
                return vec![Check::no(
                    Verdict::Warning,
                    NAME,
                    "not tried: there is no kubeconfig, and this is not a pod",
                    "kube-proxier doctor --config=FILE, with the daemon's configuration",
                )];
            }
            Err(error) => {
                return fails(
                    error.to_string(),
                    "mend the kubeconfig that the daemon is given",
                );
            }
        };
        let found = watch::examine(&client, &options.node_name).await;
        checks(client.url(), &options.node_name, found)
    });
    // A command that hangs is not waited for.
    runtime.shutdown_background();
    checks
}

fn checks(url: &str, node: &str, found: Examination) -> Vec<Check> {
    if let Err(error) = found.ready {
        let remedy = "see that the address in the kubeconfig is the API server's, and that this node reaches it";
        return vec![Check::no(
            Verdict::Fails,
            NAME,
            format!("{url}: {error}"),
            remedy,
        )];
    }
    let rights = match found.missing_rights {
        Ok(missing) if missing.is_empty() => match found.missing_optional_rights {
            Ok(missing) if !missing.is_empty() => Check::no(
                Verdict::Warning,
                "rights",
                format!("not allowed, and done without: {}", missing.join(", ")),
                "kubectl apply -f deploy/base/rbac.yaml",
            ),
            _ => Check::works("rights", "all that is needed"),
        },
        Ok(missing) => Check::no(
            Verdict::Fails,
            "rights",
            format!("not allowed: {}", missing.join(", ")),
            "kubectl apply -f deploy/base/rbac.yaml, and log in as its service account",
        ),
        Err(error) => Check::no(
            Verdict::Warning,
            "rights",
            format!("cannot be found out: {error}"),
            "log in with a valid token or certificate",
        ),
    };
    let node = match found.has_node {
        Ok(true) => Check::works("Node", format!("{node} is there")),
        Ok(false) => Check::no(
            Verdict::Warning,
            "Node",
            format!("the cluster has no Node called {node}"),
            "name the right one: hostnameOverride in the configuration, or --hostname-override",
        ),
        Err(error) => Check::no(Verdict::Warning, "Node", error, "see the rights above"),
    };
    vec![Check::works(NAME, format!("{url} is ready")), rights, node]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(found: Examination) -> Vec<(String, Verdict, String)> {
        let checks = checks("https://10.0.0.1:6443/", "node-a", found);
        let parts = checks
            .into_iter()
            .map(|check| (check.name, check.verdict, check.found));
        parts.collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        let good = Examination {
            ready: Ok(()),
            missing_rights: Ok(Vec::new()),
            missing_optional_rights: Ok(Vec::new()),
            has_node: Ok(true),
        };
        assert!(
            verdicts(good.clone())
                .iter()
                .all(|(_, verdict, _)| *verdict == Verdict::Works)
        );
        let away = Examination {
            ready: Err("no route to host".into()),
            ..good.clone()
        };
        let [(_, Verdict::Fails, found)] = &verdicts(away)[..] else {
            panic!("one check")
        };
        assert_eq!(found, "https://10.0.0.1:6443/: no route to host");
        let silent = Examination {
            missing_optional_rights: Ok(vec!["create events".into()]),
            ..good.clone()
        };
        let found = verdicts(silent);
        assert_eq!(found[1].1, Verdict::Warning);
        assert!(found[1].2.contains("create events"));
        let poor = Examination {
            missing_rights: Ok(vec!["watch nodes".into()]),
            has_node: Ok(false),
            ..good
        };
        let found = verdicts(poor);
        assert_eq!(found[1].1, Verdict::Fails);
        assert_eq!(found[1].2, "not allowed: watch nodes");
        assert_eq!(found[2].1, Verdict::Warning);
        assert!(found[2].2.contains("node-a"));
    }
}
