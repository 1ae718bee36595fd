//! Which version of HTTP a server is spoken to in: HTTP/2 where it can, all requests over one connection, else HTTP/1.1.
//!
//! hyper-util's client can take either on each connection, but then it does not know before a connection is made that others
//! could share it: three watches that begin at once make three of them. So there are two clients, one for each version. Both
//! offer both versions in TLS (ALPN); where the server chooses the other one, the other client takes over.

use std::env;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::client::legacy::{Builder, Client as HttpClient, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::Body;
use proxier_manifest::printable_within;
use tower::{BoxError, Service};

use super::addresses::Resolver;

/// How many bytes of one answer may wait until they are read: as many as a fast network brings within a few milliseconds.
const STREAM_WINDOW: u32 = 512 << 10;
/// The same of all answers together: more than the watches can have at once, so that none of them, while what it brings is
/// not read, keeps another request waiting.
const CONNECTION_WINDOW: u32 = 8 * STREAM_WINDOW;
/// The longest time that a variable may ask for, in seconds.
const MOST_SECONDS: u64 = 24 * 3600;
/// How much of a variable is shown, in bytes.
const SHOWN: usize = 40;

/// How connections to the API server are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Whether HTTP/2 is spoken with a server that can. It takes TLS.
    pub http2: bool,
    /// How long nothing may come over an HTTP/2 connection before the server is sent a ping; `None`: never.
    pub ping_after: Option<Duration>,
    /// How long the answer to a ping may take before the connection is given up.
    pub ping_answer: Duration,
}

impl Default for Transport {
    /// As client-go has it.
    fn default() -> Self {
        Self {
            http2: true,
            ping_after: Some(Duration::from_secs(30)),
            ping_answer: Duration::from_secs(15),
        }
    }
}

/// Not HTTP/2, if it is not empty.
const DISABLE: &str = "DISABLE_HTTP2";
/// [`Transport::ping_after`] in seconds; 0: never.
const PING_AFTER: &str = "HTTP2_READ_IDLE_TIMEOUT_SECONDS";
/// [`Transport::ping_answer`] in seconds.
const PING_ANSWER: &str = "HTTP2_PING_TIMEOUT_SECONDS";

impl Transport {
    /// As the variables of the environment have it that client-go knows, and with it kube-proxy (`SetTransportDefaults` in
    /// apimachinery's `pkg/util/net/http.go`). One that is not understood is logged, and counts as not set.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let default = Self::default();
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let seconds = |name| {
            let value = set(name)?;
            let seconds = value
                .parse()
                .ok()
                .filter(|seconds| *seconds <= MOST_SECONDS);
            if seconds.is_none() {
                let value = printable_within(&value, SHOWN, &[]);
                tracing::warn!("{name}={value:?} is not a number of seconds; the default is used");
            }
            seconds.map(Duration::from_secs)
        };
        Self {
            http2: set(DISABLE).is_none(),
            ping_after: seconds(PING_AFTER).map_or(default.ping_after, |after| {
                Some(after).filter(|after| !after.is_zero())
            }),
            ping_answer: seconds(PING_ANSWER).unwrap_or(default.ping_answer),
        }
    }
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The version that the server chose last. A clone is the same.
#[derive(Clone, Debug)]
struct Chosen(Arc<AtomicBool>);

impl Chosen {
    fn new(version: Version) -> Self {
        Self(Arc::new(AtomicBool::new(version == Version::Two)))
    }

    fn get(&self) -> Version {
        match self.0.load(Ordering::Relaxed) {
            true => Version::Two,
            false => Version::One,
        }
    }

    fn set(&self, version: Version) {
        let is_two = version == Version::Two;
        if self.0.swap(is_two, Ordering::Relaxed) != is_two {
            match version {
                Version::One => tracing::info!(
                    "the API server chose HTTP/1.1, in which each watch takes a connection of its own"
                ),
                Version::Two => tracing::info!("the API server chose HTTP/2"),
            }
        }
    }
}

/// The server speaks the other version.
#[derive(Debug)]
struct OtherVersion;

impl fmt::Display for OtherVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server chose another version of HTTP")
    }
}

impl std::error::Error for OtherVersion {}

type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// Makes connections for one version.
#[derive(Clone)]
struct Negotiating {
    connector: Connector,
    version: Version,
    chosen: Chosen,
}

impl Service<Uri> for Negotiating {
    type Response = <Connector as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Boxed<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // The one that is ready; it leaves a clone behind.
        let next = self.connector.clone();
        let mut connector = mem::replace(&mut self.connector, next);
        let (version, chosen) = (self.version, self.chosen.clone());
        Box::pin(async move {
            // Others found it out while this one waited.
            if chosen.get() != version {
                return Err(OtherVersion.into());
            }
            let stream = connector.call(uri).await?;
            let found = match stream.connected().is_negotiated_h2() {
                true => Version::Two,
                false => Version::One,
            };
            chosen.set(found);
            match found == version {
                true => Ok(stream),
                false => Err(OtherVersion.into()),
            }
        })
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Sends requests, in the version that the server chooses.
#[derive(Clone)]
pub(super) struct Http {
    one: HttpClient<Negotiating, Body>,
    two: HttpClient<Negotiating, Body>,
    chosen: Chosen,
}

impl Http {
    /// Over connections of a connector, which offers HTTP/2 if `transport` has it.
    pub(super) fn new(connector: &Connector, transport: Transport, encrypted: bool) -> Self {
        // Without TLS nothing is negotiated.
        let chosen = Chosen::new(match transport.http2 && encrypted {
            true => Version::Two,
            false => Version::One,
        });
        let connect = |version| Negotiating {
            connector: connector.clone(),
            version,
            chosen: chosen.clone(),
        };
        let (one, two) = (connect(Version::One), connect(Version::Two));
        Self {
            one: HttpClient::builder(TokioExecutor::new()).build(one),
            two: http2(transport).build(two),
            chosen,
        }
    }

    fn client(&self, version: Version) -> &HttpClient<Negotiating, Body> {
        match version {
            Version::One => &self.one,
            Version::Two => &self.two,
        }
    }
}

fn http2(transport: Transport) -> Builder {
    let mut builder = HttpClient::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .http2_only(true)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(transport.ping_after)
        .http2_keep_alive_timeout(transport.ping_answer)
        // A request must not be the first to find out.
        .http2_keep_alive_while_idle(true);
    builder
}

impl Service<Request<Body>> for Http {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Boxed<Result<Response<Incoming>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let http = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let again = body.try_clone();
            let version = http.chosen.get();
            let request = Request::from_parts(head.clone(), body);
            match (http.client(version).request(request).await, again) {
                // Also where another request made the connection that this one waited for.
                (Err(error), Some(body)) if error.is_connect() && http.chosen.get() != version => {
                    let request = Request::from_parts(head, body);
                    http.client(http.chosen.get()).request(request).await
                }
                (answer, _) => answer,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::logging::tests::captured;
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Transport {
        Transport::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_of_client_go_are_followed() {
        let default = Transport::default();
        assert_eq!(of(&[]), default);
        assert_eq!(of(&[("DISABLE_HTTP2", "")]), default);
        assert!(
            !of(&[("DISABLE_HTTP2", "false")]).http2,
            "any text does that"
        );
        let set = of(&[
            ("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "7"),
            ("HTTP2_PING_TIMEOUT_SECONDS", "3"),
        ]);
        let seconds = Duration::from_secs;
        assert_eq!(
            (set.ping_after, set.ping_answer),
            (Some(seconds(7)), seconds(3))
        );
        assert_eq!(
            of(&[("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "0")]).ping_after,
            None
        );
    }

    #[test]
    fn a_variable_that_is_not_understood_counts_as_not_set() {
        for value in ["soon", "-1", "1.5", "99999999999999999999", "86401"] {
            let text = captured(|| {
                assert_eq!(
                    of(&[("HTTP2_PING_TIMEOUT_SECONDS", value)]),
                    Transport::default()
                );
            });
            assert!(
                text.contains("HTTP2_PING_TIMEOUT_SECONDS") && text.contains(value),
                "{value}: {text}"
            );
        }
    }
}
