//! HTTP/2, and HTTP/1.1 beside it, as TLS negotiates it: each request is handed on, over a connection of its own, to the
//! stand-in that speaks HTTP/1.1.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;
use tower::BoxError;

use super::tls::{HTTP2, Tls, Wire};
use super::{ApiServer, Shared, connection};

/// How often it is looked whether something was ordered.
const TICK: Duration = Duration::from_millis(5);

/// Serves a connection to its end.
pub(super) fn serve(shared: &Arc<Shared>, stream: TcpStream, tls: Tls) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let stream = TlsAcceptor::from(tls.0).accept(stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let stream = TokioIo::new(stream);
        let service = service_fn(|request| {
            let shared = Arc::clone(shared);
            async move { forward(shared, request).await }
        });
        let (freezes, drains) = {
            let state = shared.lock();
            (state.freezes, state.drains)
        };
        let frozen = async {
            while shared.lock().freezes == freezes {
                tokio::time::sleep(TICK).await;
            }
            shared.lock().frozen += 1;
            shared.changed.notify_all();
            loop {
                // With the runtime, so that nothing is answered any more, not even a ping.
                thread::park();
            }
        };
        if !is_http2 {
            let serving = http1::Builder::new().serve_connection(stream, service);
            return tokio::select! {
                served = serving => served.map_err(Into::into),
                never = frozen => match never {},
            };
        }
        let serving = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service);
        let mut serving = std::pin::pin!(serving);
        let drained = async {
            while shared.lock().drains == drains {
                tokio::time::sleep(TICK).await;
            }
        };
        let mut frozen = std::pin::pin!(frozen);
        tokio::select! {
            served = &mut serving => return served.map_err(Into::into),
            never = &mut frozen => match never {},
            () = drained => serving.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            served = serving => served.map_err(Into::into),
            never = frozen => match never {},
        }
    })
}

async fn forward(
    shared: Arc<Shared>,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, BoxError> {
    let (near, far) = pair()?;
    thread::spawn(move || connection::serve(&shared, Wire::new(far, None)));
    near.set_nonblocking(true)?;
    let near = tokio::net::TcpStream::from_std(near)?;
    let (mut sender, serving) = client::handshake(TokioIo::new(near)).await?;
    tokio::spawn(serving);
    let target = request.uri().path_and_query().map(PathAndQuery::as_str);
    *request.uri_mut() = target.unwrap_or("/").parse()?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("stand-in"));
    let mut answer = sender.send_request(request).await?;
    // What HTTP/2 does not have.
    answer.headers_mut().remove(TRANSFER_ENCODING);
    answer.headers_mut().remove(CONNECTION);
    *answer.version_mut() = Version::default();
    Ok(answer)
}

/// Two ends of a connection.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

impl ApiServer {
    /// Connections that there are get no answer any more, not even to a ping, and stay open.
    pub(crate) fn freeze(&self) {
        self.change(|state| {
            state.frozen = 0;
            state.freezes += 1;
        });
        self.wait("connections to be frozen", |state| state.frozen > 0);
    }

    /// Takes no further requests on the HTTP/2 connections there are, and says so (GOAWAY). What is under way goes on.
    pub(crate) fn drain_connections(&self) {
        self.change(|state| state.drains += 1);
    }
}
