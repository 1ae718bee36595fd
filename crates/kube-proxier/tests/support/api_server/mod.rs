//! A stand-in for a Kubernetes API server, for tests: HTTP on 127.0.0.1, plain or encrypted, lists and watches with
//! everything that goes with them, and every way of failing that a real one could not be made to show.
//!
//! It serves what it is given and checks nothing: objects are whatever JSON a test wants. Threads of its
//! own, no runtime, so that a test may have whatever runtime it likes.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "shared by test programs that each use a part; a test that fails should panic"
)]

mod answer;
mod asked;
mod connection;
mod events;
mod faults;
mod format;
mod http2;
mod list;
mod objects;
mod odd;
mod packed;
mod selector;
mod state;
mod store;
mod streamed;
mod tls;
mod watch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{Backlog, Shutdown, listen, setsockopt, shutdown};
use nix::sys::time::TimeVal;

pub(crate) use self::asked::Asked;
pub(crate) use self::faults::{Endless, Gone};
use self::state::{Shared, State};
pub(crate) use self::streamed::Streams;
pub(crate) use self::tls::{Authority, Tls, WRITTEN};

/// The server. A clone is the same one; it ends with the last.
#[derive(Clone)]
pub(crate) struct ApiServer {
    address: SocketAddr,
    /// Stays bound while it does not listen: a test beside this one could be given the address, and what such a test starts has
    /// all open files of the process until its own exec.
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    _end: Arc<End>,
    /// Who is to be believed that it is this one.
    authority: Option<Arc<Authority>>,
}

/// Ends the server where it is dropped, so that the next test in the process has the machine for itself.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.listening = false;
        state.faults.hang_up = true;
        state.faults.hold = None;
        state.close_all();
        drop(state);
        self.0.changed.notify_all();
    }
}

impl ApiServer {
    /// Starts one, with no objects.
    pub(crate) fn start() -> Self {
        Self::start_as(None)
    }

    /// Starts one that speaks TLS, and HTTP/2 with those who can.
    pub(crate) fn start_with_http2() -> Self {
        let authority = Authority::new();
        let tls = Tls::new(&authority.identity("127.0.0.1")).with_http2();
        Self::start_as(Some(tls)).of(authority)
    }

    /// The same, to be believed for that authority's sake.
    pub(crate) fn of(mut self, authority: Authority) -> Self {
        self.authority = Some(Arc::new(authority));
        self
    }

    /// Starts one that speaks TLS.
    pub(crate) fn start_encrypted(tls: Tls) -> Self {
        Self::start_as(Some(tls))
    }

    /// Starts one at an address of the calling thread's network namespace.
    pub(crate) fn start_at(address: IpAddr) -> Self {
        Self::bind(address, None)
    }

    fn start_as(tls: Option<Tls>) -> Self {
        Self::bind(Ipv4Addr::LOCALHOST.into(), tls)
    }

    fn bind(address: IpAddr, tls: Option<Tls>) -> Self {
        let listener = bound(address);
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::new(tls));
        let server = Self {
            address,
            listener: Arc::new(listener),
            _end: Arc::new(End(Arc::clone(&shared))),
            shared,
            authority: None,
        };
        server.listen();
        server
    }

    pub(crate) fn url(&self) -> String {
        let encrypted = self.shared.lock().tls.is_some();
        let scheme = if encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The authority of its certificate, where it was started with one.
    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig for it, with the authority of its certificate.
    pub(crate) fn kubeconfig(&self) -> String {
        self.kubeconfig_of(self.authority(), "")
    }

    /// A kubeconfig for it as one of that authority, if of any, and for a user of whom these fields are known.
    pub(crate) fn kubeconfig_of(&self, authority: Option<&Authority>, user: &str) -> String {
        let authority = authority.map(|authority| {
            let data = authority.data();
            format!(", certificate-authority-data: {data}")
        });
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: stand-in\n\
             clusters: [{{name: stand-in, cluster: {{server: '{}'{}}}}}]\n\
             users: [{{name: someone, user: {{{user}}}}}]\n\
             contexts: [{{name: stand-in, context: {{cluster: stand-in, user: someone}}}}]\n",
            self.url(),
            authority.unwrap_or_default(),
        )
    }

    /// Speaks TLS like this on connections that are to come.
    pub(crate) fn encrypt(&self, tls: Tls) {
        self.change(|state| state.tls = Some(tls));
    }

    fn listen(&self) {
        let (listener, shared) = (Arc::clone(&self.listener), Arc::clone(&self.shared));
        // Not for longer than this, so that it can be told to go.
        let patience = TimeVal::new(0, 50_000);
        setsockopt(&listener, ReceiveTimeout, &patience).unwrap();
        thread::spawn(move || {
            while shared.lock().listening {
                let accepted = listener.accept();
                // It may have been told to go while it waited.
                let is_listening = shared.lock().listening;
                if let Ok((stream, _)) = accepted
                    && is_listening
                {
                    connection::accept(&shared, stream);
                }
            }
            // Connections are refused from here on.
            shutdown(listener.as_raw_fd(), Shutdown::Read).unwrap();
            shared.lock().faults.refusing = true;
            shared.changed.notify_all();
        });
    }

    /// Goes away: connections are cut, new ones refused.
    pub(crate) fn stop(&self) {
        self.change(|state| {
            state.listening = false;
            state.close_all();
        });
        self.wait("the listener to go", |state| state.faults.refusing);
    }

    /// Comes back after [`Self::stop`], where it was, with all it had.
    pub(crate) fn come_back(&self) {
        listen(&*self.listener, Backlog::MAXCONN).unwrap();
        self.change(|state| {
            state.listening = true;
            state.faults.refusing = false;
        });
        self.listen();
    }

    fn wait(&self, what: &str, ready: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut state = self.shared.lock();
        while !ready(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; asked: {:#?}",
                state.requests
            );
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let done = change(&mut self.shared.lock());
        self.shared.changed.notify_all();
        done
    }
}

/// A listener at a port of its own. The kernel takes a port that it chose itself back from a socket that stops to listen, so the
/// port is chosen first.
fn bound(address: IpAddr) -> TcpListener {
    loop {
        let free = TcpListener::bind((address, 0)).unwrap().local_addr();
        // Somebody else may have taken it already.
        if let Ok(listener) = TcpListener::bind(free.unwrap()) {
            return listener;
        }
    }
}
