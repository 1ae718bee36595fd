//! The client of the API server, made from where that is and as whom to log in.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kube::config::{AuthInfo, ExecInteractiveMode, InClusterError, KubeconfigError};
use kube::{Client, Config};
use proxier_manifest::printable_within;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::addresses::ApiAddresses;
use super::request::ApiClient;
use super::source::{ApiSource, config};
use super::token::TokenFile;
use super::transport::Transport;
use super::{certificate, connect};

/// How long a command that logs in may take.
const COMMAND: Duration = Duration::from_secs(30);

/// Why no client of the API server could be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {}: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// The current context is to log in as somebody who is not in the file.
    #[error("kubeconfig {}: the current context logs in as user {user:?}, of whom nothing is there", path.display())]
    NoSuchUser {
        /// The file.
        path: PathBuf,
        /// The name.
        user: String,
    },
    /// The URL cannot be one.
    #[error("--master {url:?} is not a URL such as http://127.0.0.1:8080: {reason}")]
    Master {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This process is not in a pod.
    #[error(
        "neither a kubeconfig (clientConnection.kubeconfig, --kubeconfig) nor --master is given, and this \
         process is not in a pod with a service account: {0}"
    )]
    InCluster(#[source] InClusterError),
    /// There is no token in the file that should hold one, and none beside it.
    #[error("the token for the API server cannot be read: {}: {source}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The client certificate is of a version that TLS libraries refuse.
    #[error(
        "the client certificate for {url} is of X.509 version 1, which is not accepted in TLS: issue one of version 3 \
         (with extensions: `openssl x509 -req -extfile FILE`), or log in with a token"
    )]
    CertificateVersion {
        /// The API server.
        url: String,
    },
    /// The command that is to give a token or certificate hangs.
    #[error(
        "the command in the kubeconfig that is to log in to {url} ({command}) has not ended after {} s: run it by hand",
        COMMAND.as_secs()
    )]
    Command {
        /// The API server.
        url: String,
        /// The command.
        command: String,
    },
    /// Certificates, keys or tokens of the source cannot be used.
    #[error("the client for {url} cannot be made: {source}")]
    Client {
        /// The API server.
        url: String,
        /// What is wrong.
        source: Box<kube::Error>,
    },
}

/// A client of the API server, over connections as the environment has them ([`Transport::from_environment`]). Nothing is
/// sent yet.
///
/// Failures are not tried again by the client itself, since [`run`](super::run) does that with pauses.
///
/// # Errors
/// [`ApiError`] if the source does not name an API server.
pub async fn client(source: &ApiSource) -> Result<ApiClient, ApiError> {
    client_over(source, Transport::from_environment()).await
}

/// The same, over connections that are used like this.
///
/// # Errors
/// [`ApiError`] if the source does not name an API server.
pub async fn client_over(source: &ApiSource, transport: Transport) -> Result<ApiClient, ApiError> {
    let mut config = config(source).await?;
    let token = token_file(&mut config.auth_info)
        .map(|(path, inline)| {
            let inline = inline.as_ref().map(ExposeSecret::expose_secret);
            TokenFile::open(path.clone(), inline).map_err(|source| ApiError::Token { path, source })
        })
        .transpose()?;
    config.default_retry = false;
    config.headers.push((
        HeaderName::from_static("user-agent"),
        HeaderValue::from_static(concat!("kube-proxier/", env!("CARGO_PKG_VERSION"))),
    ));
    let url = config.cluster_url.to_string();
    let certificate = client_certificate(&config.auth_info);
    let addresses = Arc::new(ApiAddresses::of(&config.cluster_url));
    let made = connected(config, Arc::clone(&addresses), transport, COMMAND);
    let made = made.await.map_err(|command| ApiError::Command {
        url: url.clone(),
        command,
    })?;
    let client = made.map_err(|source| {
        let url = url.clone();
        if certificate.is_some_and(|pem| certificate::is_version_1(&pem)) {
            return ApiError::CertificateVersion { url };
        }
        ApiError::Client {
            url,
            source: Box::new(source),
        }
    })?;
    Ok(ApiClient::new(client, url, addresses, token))
}

/// The client as kube makes it. A command that logs in is run meanwhile; where it does not end in time, it is the error.
async fn connected(
    mut config: Config,
    addresses: Arc<ApiAddresses>,
    transport: Transport,
    limit: Duration,
) -> Result<kube::Result<Client>, String> {
    let Some(exec) = &mut config.auth_info.exec else {
        return Ok(connect::client(config, addresses, transport));
    };
    // A daemon has nobody to ask.
    exec.interactive_mode = Some(ExecInteractiveMode::Never);
    let command = exec.command.clone().unwrap_or_default();
    let runtime = Handle::current();
    let making = spawn_blocking(move || {
        let _entered = runtime.enter();
        connect::client(config, addresses, transport)
    });
    match timeout(limit, making).await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(_)) | Err(_) => Err(printable_within(&command, 300, &[]).into_owned()),
    }
}

/// The client certificate in PEM, if there is one that can be read.
fn client_certificate(user: &AuthInfo) -> Option<Vec<u8>> {
    if let Some(data) = &user.client_certificate_data {
        return BASE64_STANDARD.decode(data).ok();
    }
    fs::read(user.client_certificate.as_ref()?).ok()
}

/// The file of the token, where that is what is used, and the token beside it; taken away, so that kube does not use them
/// as well.
///
/// kube takes the token where there are both. client-go, and so kube-proxy, takes the file, and the token until that can
/// be read: `NewBearerAuthWithRefreshRoundTripper` in client-go's `transport/round_trippers.go`.
fn token_file(user: &mut AuthInfo) -> Option<(PathBuf, Option<SecretString>)> {
    if user.auth_provider.is_some() || user.username.is_some() {
        return None;
    }
    let path = user.token_file.take()?;
    let inline = user.token.take();
    // A command would come after the file.
    user.exec = None;
    let inline = inline.filter(|token| !token.expose_secret().is_empty());
    Some((path.into(), inline))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use axum::http::Request;
    use axum::http::header::AUTHORIZATION;

    use super::*;

    fn made(source: &ApiSource) -> Result<ApiClient, ApiError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(client(source))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    pub(in crate::watch) fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
        file(&format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
             users: [{{name: u, user: {{token: t}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        ))
    }

    #[test]
    fn each_source_makes_a_client() {
        for server in ["http://127.0.0.1:8080", "https://10.0.0.1:6443"] {
            let file = kubeconfig(server);
            let path = Some(file.path().to_owned());
            let of = |kubeconfig, master: Option<&str>| ApiSource {
                kubeconfig,
                master: master.map(Into::into),
            };
            for source in [
                of(path.clone(), None),
                of(None, Some(server)),
                of(path, Some("localhost:8080")),
            ] {
                assert!(made(&source).is_ok(), "{source:?}");
            }
        }
    }

    #[test]
    fn a_token_file_comes_before_a_token() {
        let tokens = file("of-the-file");
        let text = fs::read_to_string(kubeconfig("https://10.0.0.1:6443").path()).unwrap();
        let header = |user: &str| {
            let file = file(&text.replace("token: t", user));
            let client = made(&ApiSource {
                kubeconfig: Some(file.path().to_owned()),
                master: None,
            });
            let request = client.unwrap().authorized(Request::default());
            let header = request.headers().get(AUTHORIZATION);
            header.map(|header| header.to_str().unwrap().to_owned())
        };
        // Without a file the header is kube's.
        assert_eq!(header("token: t"), None);
        let path = tokens.path().display();
        let both = header(&format!("token: t, tokenFile: {path}"));
        assert_eq!(both.as_deref(), Some("Bearer of-the-file"));
        let empty = header(&format!("token: '', tokenFile: {path}"));
        assert_eq!(empty.as_deref(), Some("Bearer of-the-file"));
        let not_yet = header("token: t, tokenFile: /nowhere/token");
        assert_eq!(not_yet.as_deref(), Some("Bearer t"));
    }

    #[test]
    fn a_certificate_of_version_1_is_named_as_that() {
        let pem = certificate::tests::VERSION_1;
        let key = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ3bcE0iN5e64T+CVRGvR9VPwJ0Xd05aULDEkW7OYQG6\n\
                   -----END PRIVATE KEY-----\n";
        let user = format!(
            "client-certificate-data: {}, client-key-data: {}",
            BASE64_STANDARD.encode(pem),
            BASE64_STANDARD.encode(key)
        );
        let text = fs::read_to_string(kubeconfig("https://10.0.0.1:6443").path()).unwrap();
        let file = file(&text.replace("token: t", &user));
        let error = made(&ApiSource {
            kubeconfig: Some(file.path().to_owned()),
            master: None,
        });
        let error = error.err().unwrap().to_string();
        assert!(error.contains("X.509 version 1"), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_given_up() {
        let text = fs::read_to_string(kubeconfig("https://10.0.0.1:6443").path()).unwrap();
        let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, args: ['60'], interactiveMode: Never}";
        let file = file(&text.replace("token: t", exec));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let given_up = runtime.block_on(async {
            let source = ApiSource {
                kubeconfig: Some(file.path().to_owned()),
                master: None,
            };
            let config = config(&source).await.unwrap();
            let addresses = Arc::new(ApiAddresses::of(&config.cluster_url));
            let transport = Transport::default();
            connected(config, addresses, transport, Duration::from_millis(100)).await
        });
        assert_eq!(given_up.err().as_deref(), Some("sleep"));
        runtime.shutdown_background();
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |source: ApiSource| made(&source).err().unwrap().to_string();
        let missing = ApiSource {
            kubeconfig: Some("/nowhere/kubeconfig".into()),
            master: None,
        };
        assert!(error(missing).contains("/nowhere/kubeconfig"));
        let broken = file("clusters: [");
        let source = ApiSource {
            kubeconfig: Some(broken.path().to_owned()),
            master: None,
        };
        assert!(error(source).contains(&broken.path().display().to_string()));
        for url in ["ftp://a", "http://", "a b"] {
            let source = ApiSource {
                kubeconfig: None,
                master: Some(url.into()),
            };
            assert!(error(source).contains(url), "{url}");
        }
        let text = kubeconfig("https://10.0.0.1:6443");
        let text = fs::read_to_string(text.path()).unwrap();
        let tokenless = file(&text.replace("token: t", "tokenFile: /nowhere/token"));
        let source = ApiSource {
            kubeconfig: Some(tokenless.path().to_owned()),
            master: None,
        };
        assert!(error(source).contains("/nowhere/token"));
        let text = error(ApiSource::default());
        assert!(
            text.contains("--kubeconfig") && text.contains("--master"),
            "{text}"
        );
    }
}
