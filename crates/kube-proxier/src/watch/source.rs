//! Where the API server is, and as whom to log in: kubeconfig, `--master`, or the service account of a pod.

use std::path::PathBuf;

use axum::http::Uri;
use axum::http::uri::InvalidUri;
use kube::Config;
use kube::config::KubeConfigOptions;

use super::client::ApiError;
use super::kubeconfig;

/// Where the API server is, and as whom to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiSource {
    /// A kubeconfig file, whose current context is used (`clientConnection.kubeconfig`, `--kubeconfig`).
    pub kubeconfig: Option<PathBuf>,
    /// The URL of the API server, which comes before the file's (`--master`); without a scheme it is
    /// `http`. With neither, the service account of the pod this runs in is used.
    pub master: Option<String>,
}

/// The configuration of the client that the source asks for, as kube has it.
pub(super) async fn config(source: &ApiSource) -> Result<Config, ApiError> {
    let master = source.master.as_deref().map(master_url).transpose()?;
    let Some(path) = &source.kubeconfig else {
        return match master {
            Some(url) => Ok(Config::new(url)),
            None => Config::incluster().map_err(ApiError::InCluster),
        };
    };
    let refused = |source| ApiError::Kubeconfig {
        path: path.clone(),
        source,
    };
    let mut kubeconfig = kubeconfig::read(path).map_err(refused)?;
    if let Some(user) = kubeconfig::missing_user(&kubeconfig) {
        let path = path.clone();
        return Err(ApiError::NoSuchUser { path, user });
    }
    if let Some(url) = &master {
        for cluster in kubeconfig.clusters.iter_mut() {
            if let Some(cluster) = &mut cluster.cluster {
                cluster.server = Some(url.to_string());
            }
        }
    }
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(refused)
}

fn master_url(text: &str) -> Result<Uri, ApiError> {
    let wrong = |reason: String| ApiError::Master {
        url: text.to_owned(),
        reason,
    };
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url: Uri = url
        .parse()
        .map_err(|error: InvalidUri| wrong(error.to_string()))?;
    match url.scheme_str() {
        Some("http" | "https") if url.host().is_some_and(|host| !host.is_empty()) => Ok(url),
        _ => Err(wrong("it needs http or https and a host".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::client::tests::kubeconfig;

    #[test]
    fn the_master_comes_before_the_file() {
        let file = kubeconfig("https://10.0.0.1:6443");
        let source = ApiSource {
            kubeconfig: Some(file.path().to_owned()),
            master: Some("127.0.0.1:8080".into()),
        };
        let made = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(config(&source))
            .unwrap();
        assert_eq!(made.cluster_url.to_string(), "http://127.0.0.1:8080/");
    }
}
