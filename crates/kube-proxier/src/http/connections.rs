//! The connections of the HTTP servers: bounded in number and in time, so that no client keeps another from being
//! answered, or the daemon from a file descriptor.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last: whatever was asked is answered by then, or never.
const WHOLE: Duration = Duration::from_secs(30);
/// How long the answer in hand may take after that.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// How long until a connection is accepted again where none can be.
const AGAIN: Duration = Duration::from_secs(1);
/// Connections of one server.
const EACH: usize = 64;
/// Connections of all servers, where there are file descriptors enough.
const ALL: usize = 256;

/// How many connections and listening sockets the HTTP servers may have together. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct Connections {
    head: Duration,
    each: usize,
    all: usize,
    open: Arc<Mutex<Open>>,
    listeners: Arc<Semaphore>,
}

/// The address that a client has connected to, as an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

/// Connections there are, the oldest first.
type Open = VecDeque<AbortHandle>;

impl Connections {
    /// A budget for a process that may have so many files open. Half of them are for listening sockets, a quarter for
    /// connections at the most; the rest are for what the daemon itself opens.
    #[must_use]
    pub fn new(open_files: u64) -> Self {
        let files = usize::try_from(open_files)
            .unwrap_or(usize::MAX)
            .min(1 << 20);
        Self {
            head: HEAD,
            each: EACH.min(files / 4).max(1),
            all: ALL.min(files / 4).max(1),
            open: Arc::default(),
            listeners: Arc::new(Semaphore::new(files / 2)),
        }
    }

    /// Room for a listening socket, for as long as the permit lives.
    pub(crate) fn listener(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.listeners).try_acquire_owned().ok()
    }

    /// Answers what comes on a listening socket until dropped, which closes the connections too.
    ///
    /// Where there are as many connections as there may be, the oldest goes: what is asked at once is answered at once,
    /// so it is that of a client who does not ask.
    pub(crate) async fn serve(
        &self,
        what: &str,
        listener: TcpListener,
        routes: Router,
    ) -> Infallible {
        // Dropped with this future: then connections are closed in order.
        let (_open, closing) = watch::channel(());
        let mut own = VecDeque::new();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // The client went before it was its turn.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::warn!(%error, "{what}: no connection can be accepted; trying again in 1s");
                    sleep(AGAIN).await;
                    continue;
                }
            };
            let routes = match stream.local_addr() {
                Ok(address) => routes.clone().layer(Extension(LocalAddress(address))),
                // The client has gone already.
                Err(_) => continue,
            };
            let connection = connection(stream, routes, self.head, closing.clone());
            let task = tokio::spawn(connection).abort_handle();
            admit(&mut own, task.clone(), self.each);
            let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            admit(&mut all, task, self.all);
        }
    }
}

/// Adds a connection, and ends the oldest ones that are too many.
fn admit(open: &mut Open, task: AbortHandle, most: usize) {
    open.push_back(task);
    if open.len() > most {
        open.retain(|task| !task.is_finished());
    }
    while open.len() > most {
        if let Some(oldest) = open.pop_front() {
            oldest.abort();
        }
    }
}

async fn connection(
    stream: TcpStream,
    routes: Router,
    head: Duration,
    mut closing: watch::Receiver<()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let service = TowerToHyperService::new(routes);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = sleep(WHOLE) => {} _ = closing.changed() => {} } } => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as Client;

    use axum::routing::get;

    use super::super::tests::{request, run};
    use super::*;

    async fn start(budget: &Connections) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "yes" }));
        let budget = budget.clone();
        tokio::spawn(async move { budget.serve("test", listener, routes).await });
        address
    }

    fn client(address: SocketAddr, sends: &str) -> Client {
        let mut stream = Client::connect(address).unwrap();
        stream.write_all(sends.as_bytes()).unwrap();
        stream
    }

    /// All that comes until the server closes the connection.
    async fn rest(mut stream: Client) -> String {
        let read = move || {
            let mut text = Vec::new();
            // One that is cut has had what it has had.
            let _ = stream.read_to_end(&mut text);
            String::from_utf8(text).unwrap()
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    #[test]
    fn clients_that_do_not_ask_keep_nobody_from_being_answered() {
        run(async {
            // Nothing but the budget ends them.
            let budget = Connections {
                head: Duration::from_secs(3600),
                ..Connections::new(1024)
            };
            let addresses = [start(&budget).await, start(&budget).await];
            let mut silent = Vec::new();
            for number in 0..500 {
                silent.push(client(addresses[number % 2], "GET / HTTP/1.1\r\nHost:"));
                tokio::task::yield_now().await;
            }
            for address in addresses {
                let answer = request(address, "/").await;
                assert!(answer.ends_with("yes"), "{answer}");
            }
            // All but so many were closed.
            let open = budget.open.lock().unwrap().len();
            assert!(open <= 256, "{open}");
            let mut first = silent.swap_remove(0);
            first
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let read = tokio::task::spawn_blocking(move || first.read(&mut [0; 10]));
            match read.await.unwrap() {
                Ok(read) => assert_eq!(read, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        });
    }

    #[test]
    fn a_head_that_does_not_end_and_an_idle_connection_are_closed() {
        run(async {
            let budget = Connections {
                head: Duration::from_millis(100),
                ..Connections::new(1024)
            };
            let address = start(&budget).await;
            let half = client(address, "GET / HTTP/1.1\r\n");
            let idle = client(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            // Both end by themselves.
            let answer = rest(idle).await;
            assert!(answer.ends_with("yes"), "{answer}");
            rest(half).await;
        });
    }

    #[test]
    fn file_descriptors_are_left_for_the_daemon() {
        let small = Connections::new(64);
        assert_eq!((small.each, small.all), (16, 16));
        let permits: Vec<_> = std::iter::from_fn(|| small.listener()).collect();
        assert_eq!(permits.len(), 32);
        drop(permits);
        assert!(small.listener().is_some());
        let large = Connections::new(u64::MAX);
        assert_eq!((large.each, large.all), (64, 256));
    }
}
