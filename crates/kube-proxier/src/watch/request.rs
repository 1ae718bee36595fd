//! Requests to the API server, and how much of an answer is read.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, RETRY_AFTER,
};
use axum::http::{Request, Response, StatusCode};
use futures_util::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, TryStreamExt};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use proxier_manifest::printable_within;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::addresses::ApiAddresses;
use super::error::{BYTES, WatchError};
use super::protocol::{Format, failure};
use super::token::TokenFile;
use super::unpack::Unpacked;
use crate::metrics::RequestMetrics;

/// How much of an error's body is read. A Status has a few hundred bytes.
const ERROR_BODY: usize = 64 << 10;
/// How much of a header is shown, in bytes.
const SHOWN: usize = 300;
/// Content codings, as HTTP names them.
const GZIP: &str = "gzip";
const IDENTITY: &str = "identity";
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(2);

/// A client of the API server. A clone is the same client.
#[derive(Clone)]
pub struct ApiClient {
    client: Client,
    url: Arc<str>,
    host: Arc<str>,
    addresses: Arc<ApiAddresses>,
    /// Where the token is read from; any other way to authenticate is the client's own.
    token: Option<Arc<TokenFile>>,
    /// When the server was last probed, and whether it was ready.
    probed: Arc<Mutex<Option<(Instant, bool)>>>,
    metrics: Option<RequestMetrics>,
}

impl ApiClient {
    pub(super) fn new(
        client: Client,
        url: String,
        addresses: Arc<ApiAddresses>,
        token: Option<TokenFile>,
    ) -> Self {
        let (_, host) = url.split_once("://").unwrap_or(("", &url));
        let host = host.split('/').next().unwrap_or_default();
        Self {
            client,
            host: host.into(),
            url: url.into(),
            addresses,
            token: token.map(Arc::new),
            probed: Arc::default(),
            metrics: None,
        }
    }

    /// The same client, whose requests are counted.
    #[must_use]
    pub fn counting(mut self, metrics: RequestMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The API server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The API server's addresses, as far as they are known: those that its name was resolved to, or the one in its URL.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.addresses.known()
    }

    /// The whole body of an answer.
    pub(super) async fn body(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<u8>, WatchError> {
        let (_, body) = self.stream(request, None).await?;
        read_all(body, limit).await
    }

    /// The body of an answer as it comes, and its format. With `unpacked` it is asked for in gzip, and unpacked to no more than
    /// so many bytes.
    pub(super) async fn stream(
        &self,
        mut request: Request<Vec<u8>>,
        unpacked: Option<usize>,
    ) -> Result<(Format, impl AsyncBufRead + Send + use<>), WatchError> {
        let coding = HeaderValue::from_static(match unpacked {
            Some(_) => GZIP,
            None => IDENTITY,
        });
        request.headers_mut().insert(ACCEPT_ENCODING, coding);
        let answer = self.send(request).await?;
        let status = answer.status();
        let code = status.as_u16();
        let asked = retry_after(answer.headers());
        if status.is_redirection() {
            let to = text(answer.headers(), &LOCATION).unwrap_or("nowhere");
            let to = printable_within(to, SHOWN, &[]).into_owned();
            return Err(WatchError::Redirected { code, to });
        }
        let gzip = match (encoding(answer.headers()), unpacked) {
            (None, _) => None,
            (Some(encoding), Some(limit)) if is_gzip(&encoding) => Some(limit),
            (Some(encoding), _) => {
                return Err(match status.is_success() {
                    true => WatchError::Encoded(encoding),
                    false => WatchError::Refused {
                        code,
                        message: format!("the reason is encoded as {encoding}"),
                        retry_after: asked,
                    },
                });
            }
        };
        let format = text(answer.headers(), &CONTENT_TYPE).map_or(Format::Json, Format::of);
        let body = Box::pin(lines(answer));
        let body = match gzip {
            Some(limit) => Unpacked::gzip(body, limit),
            None => Unpacked::plain(body),
        };
        if status.is_success() {
            return Ok((format, body));
        }
        // An error without a body is an error all the same.
        let text = read_all(body, ERROR_BODY).await.unwrap_or_default();
        let mut error = failure(&text, code);
        if let WatchError::Refused { retry_after, .. } = &mut error {
            *retry_after = asked;
        }
        Err(error)
    }

    /// Whether the server reports that it is ready. It is asked once by however many want to know within `max_age`.
    pub(super) async fn is_ready(&self, max_age: Duration) -> bool {
        let mut probed = self.probed.lock().await;
        match *probed {
            Some((at, ready)) if at.elapsed() < max_age => return ready,
            _ => {}
        }
        let ready = timeout(PROBE, self.probe()).await.unwrap_or(false);
        *probed = Some((Instant::now(), ready));
        ready
    }

    async fn probe(&self) -> bool {
        let Ok(request) = Request::get("/readyz").body(Vec::new()) else {
            return false;
        };
        match self.send(request).await {
            Ok(answer) => {
                let status = answer.status();
                // Read, so that the connection can be used again.
                let _ = read_all(lines(answer), ERROR_BODY).await;
                // Some servers answer this for nobody, or lack the path: they are there.
                !status.is_server_error() && status.as_u16() != 429
            }
            Err(_) => false,
        }
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, WatchError> {
        let request = self.authorized(request);
        let answer = self.send_once(request.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // The token may have been renewed between reading the file and the answer.
        let again = self.authorized(request.clone());
        if again.headers().get(AUTHORIZATION) == request.headers().get(AUTHORIZATION) {
            return Ok(answer);
        }
        self.send_once(again).await
    }

    async fn send_once(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, WatchError> {
        let request = request.map(Body::from);
        let (method, began) = (request.method().clone(), Instant::now());
        let answer = self.client.send(request).await;
        if let Some(metrics) = &self.metrics {
            let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            metrics.record(&self.host, method.as_str(), status, began.elapsed());
        }
        Ok(answer?)
    }

    pub(super) fn authorized(&self, mut request: Request<Vec<u8>>) -> Request<Vec<u8>> {
        if let Some(token) = &self.token {
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, token.authorization());
        }
        request
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// How long a server asks to be left alone (`Retry-After` of RFC 9110, section 10.2.3): so many seconds, or until a time by the
/// server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = text(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = text(headers, &DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let now = now.unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

/// How an answer is encoded, if it is.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = headers.get(CONTENT_ENCODING)?;
    let encoding = String::from_utf8_lossy(encoding.as_bytes());
    let plain = ["", IDENTITY].contains(&encoding.trim());
    (!plain).then(|| printable_within(encoding.trim(), SHOWN, &[]).into_owned())
}

/// Whether a content coding is gzip, by either of its names (RFC 9110, section 8.4.1.3).
fn is_gzip(encoding: &str) -> bool {
    [GZIP, "x-gzip"]
        .iter()
        .any(|name| encoding.eq_ignore_ascii_case(name))
}

fn lines(answer: Response<Body>) -> impl AsyncBufRead + Send + use<> {
    let stream = answer.into_body().into_data_stream();
    stream.map_err(io::Error::other).into_async_read()
}

pub(super) async fn read_all(body: impl AsyncBufRead, limit: usize) -> Result<Vec<u8>, WatchError> {
    let mut text = Vec::new();
    let body = std::pin::pin!(body);
    body.take(one_more(limit)).read_to_end(&mut text).await?;
    within(&text, limit)?;
    Ok(text)
}

/// Reads up to the end of a line, which is kept; 0 at the end of the stream.
pub(super) async fn read_line(
    mut lines: Pin<&mut impl AsyncBufRead>,
    line: &mut Vec<u8>,
    limit: usize,
) -> Result<usize, WatchError> {
    let mut bounded = lines.as_mut().take(one_more(limit));
    let read = bounded.read_until(b'\n', line).await?;
    within(line, limit)?;
    Ok(read)
}

/// Reads what is behind its length in four bytes, big endian; 0 at the end of the stream, also where that comes too early.
pub(super) async fn read_frame(
    mut frames: Pin<&mut impl AsyncBufRead>,
    frame: &mut Vec<u8>,
    limit: usize,
) -> Result<usize, WatchError> {
    let mut length = [0; 4];
    match frames.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
        read => read?,
    }
    let length = u32::from_be_bytes(length);
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    if wanted > limit {
        return Err(WatchError::TooLarge { limit, unit: BYTES });
    }
    // Nothing is reserved for a length that is only claimed.
    while frame.len() < wanted {
        let piece = frames.fill_buf().await?;
        let piece = piece.get(..wanted - frame.len()).unwrap_or(piece);
        if piece.is_empty() {
            return Ok(0);
        }
        frame.extend_from_slice(piece);
        let read = piece.len();
        frames.as_mut().consume(read);
    }
    Ok(4 + wanted)
}

fn one_more(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)
}

fn within(text: &[u8], limit: usize) -> Result<(), WatchError> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(WatchError::TooLarge { limit, unit: BYTES })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let asked = |pairs: &[(HeaderName, &str)]| retry_after(&headers(pairs));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[(RETRY_AFTER, " 7 ")]), Some(Duration::from_secs(7)));
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        let until = (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(
            asked(&[date.clone(), until.clone()]),
            Some(Duration::from_secs(30))
        );
        // By our clock that was long ago.
        assert_eq!(asked(&[until]), Some(Duration::ZERO));
        for other in ["-1", "soon", "1.5", "", "99999999999999999999999"] {
            assert_eq!(
                asked(&[date.clone(), (RETRY_AFTER, other)]),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn what_is_encoded_is_known() {
        let of = |value| encoding(&headers(&[(CONTENT_ENCODING, value)]));
        assert_eq!(encoding(&HeaderMap::new()), None);
        assert_eq!(of("identity"), None);
        assert_eq!(of("gzip").as_deref(), Some("gzip"));
        for (encoding, gzip) in [
            ("gzip", true),
            ("x-gzip", true),
            ("GZip", true),
            ("gzip, gzip", false),
            ("deflate", false),
            ("br", false),
        ] {
            assert_eq!(is_gzip(encoding), gzip, "{encoding}");
        }
    }
}
