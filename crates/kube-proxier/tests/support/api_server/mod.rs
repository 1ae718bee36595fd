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

mod asked;
mod connection;
mod events;
mod faults;
mod format;
mod http2;
mod odd;
mod packed;
mod selector;
mod store;
mod streamed;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::time::TimeVal;
use serde_json::Value;

pub(crate) use self::asked::Asked;
pub(crate) use self::faults::{Endless, Gone};
use self::faults::{Faults, Hold};
use self::store::Store;
pub(crate) use self::streamed::Streams;
pub(crate) use self::tls::{Authority, Tls, WRITTEN};

/// The server. A clone is the same one; it ends with the last.
#[derive(Clone)]
pub(crate) struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _end: Arc<End>,
    /// Who is to be believed that it is this one.
    authority: Option<Arc<Authority>>,
}

/// What its threads have in common.
struct Shared {
    state: Mutex<State>,
    /// Told of every change of the state.
    changed: Condvar,
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

struct State {
    store: Store,
    faults: Faults,
    /// How new connections are encrypted, if they are.
    tls: Option<Tls>,
    requests: Vec<Asked>,
    /// When the first of them came.
    first_asked: Option<Instant>,
    /// Events that were created.
    events: Vec<Value>,
    /// Connections that were accepted.
    accepted: usize,
    /// Connections there are, by number.
    open: BTreeMap<usize, TcpStream>,
    /// The listener is to go, or gone.
    listening: bool,
    /// Counts the orders to break all watches off.
    breaks: usize,
    /// Counts the orders to end all watches in good order.
    ends: usize,
    /// Watches that are being served.
    watching: usize,
    /// Counts the orders to send bookmarks.
    bookmarks: usize,
    bookmarks_sent: usize,
    /// Counts the orders to send a long line, and how long it is.
    long_lines: usize,
    long_line: usize,
    /// Lines to be sent on watches of a path, as they are.
    odd_lines: Vec<(String, Vec<u8>)>,
    /// Counts the answers that were held back.
    held: usize,
    /// Counts the orders to leave connections without an answer.
    freezes: usize,
    /// Counts the connections that carried out the last of these.
    frozen: usize,
    /// Counts the orders to take no further requests on connections.
    drains: usize,
    /// When the event of each version was handed to the system, if that is noted.
    sent: Option<BTreeMap<u64, Instant>>,
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
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                store: Store::new(),
                faults: Faults::default(),
                tls,
                requests: Vec::new(),
                first_asked: None,
                events: Vec::new(),
                accepted: 0,
                open: BTreeMap::new(),
                listening: true,
                breaks: 0,
                ends: 0,
                watching: 0,
                bookmarks: 0,
                bookmarks_sent: 0,
                long_lines: 0,
                long_line: 0,
                odd_lines: Vec::new(),
                held: 0,
                freezes: 0,
                frozen: 0,
                drains: 0,
                sent: None,
            }),
            changed: Condvar::new(),
        });
        let server = Self {
            address,
            _end: Arc::new(End(Arc::clone(&shared))),
            shared,
            authority: None,
        };
        server.listen(listener);
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

    /// A kubeconfig for it.
    pub(crate) fn kubeconfig(&self) -> String {
        self.kubeconfig_of(None, "")
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

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
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
            drop(listener);
            shared.lock().faults.refusing = true;
            shared.changed.notify_all();
        });
    }

    /// Makes the cluster exactly these objects: what is missing is deleted, what differs modified, what is
    /// new added, each with a version of its own. `List`s are taken apart.
    pub(crate) fn apply_step(&self, objects: impl IntoIterator<Item = Value>) {
        self.change(|state| state.store.become_these(objects));
    }

    /// Adds an object or changes it.
    pub(crate) fn put(&self, object: Value) {
        self.put_as(object);
    }

    /// The same, with the version that the cluster is at then.
    pub(crate) fn put_as(&self, object: Value) -> u64 {
        self.change(|state| {
            state.store.put(object);
            state.store.version()
        })
    }

    /// Deletes an object, known by its kind, namespace and name.
    pub(crate) fn delete(&self, object: &Value) {
        self.change(|state| state.store.delete(object));
    }

    /// All objects there are.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.shared.lock().store.objects()
    }

    /// The version the cluster is at.
    pub(crate) fn version(&self) -> u64 {
        self.shared.lock().store.version()
    }

    /// Sends a bookmark on every watch, all of which have to allow it.
    pub(crate) fn send_bookmarks(&self) {
        let mut sent = 0;
        self.change(|state| {
            state.bookmarks += 1;
            sent = state.bookmarks_sent + state.watching;
        });
        self.wait("bookmarks", |state| state.bookmarks_sent >= sent);
    }

    /// Forgets what happened so far, and lists that are half had: who asks for that is told it is gone.
    pub(crate) fn compact(&self) {
        self.change(|state| state.store.compact());
    }

    /// Versions rise without any object changing, as other kinds do it on a real server.
    pub(crate) fn advance(&self, by: u64) {
        self.change(|state| state.store.advance(by));
    }

    /// How it is said that a version is gone.
    pub(crate) fn say_gone_by(&self, gone: Gone) {
        self.change(|state| state.faults.gone = gone);
    }

    /// The next so many requests get this status as their answer.
    pub(crate) fn fail(&self, status: u16, times: usize) {
        self.change(|state| state.faults.fail = Some((status, times)));
    }

    /// All answers begin so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.change(|state| state.faults.delay = delay);
    }

    /// Lists of a path are not answered beyond their first half until [`Self::release`].
    pub(crate) fn hold_lists(&self, path: &str) {
        self.change(|state| state.faults.hold = Some(Hold::Lists(path.into())));
    }

    /// Waits until a list is held back.
    pub(crate) fn wait_until_held(&self) {
        self.wait("a list to be held back", |state| state.held > 0);
    }

    /// Watches send nothing, not even an end, until [`Self::release`]: as where the peer is dead.
    pub(crate) fn hold_watches(&self) {
        self.change(|state| state.faults.hold = Some(Hold::Watches));
    }

    /// Ends what [`Self::hold_lists`] or [`Self::hold_watches`] began.
    pub(crate) fn release(&self) {
        self.change(|state| state.faults.hold = None);
    }

    /// Watches end in good order as soon as they have begun.
    pub(crate) fn cut_watches_short(&self, short: bool) {
        self.change(|state| state.faults.short_watches = short);
    }

    /// Connections are accepted, and closed at once.
    pub(crate) fn hang_up(&self, hang_up: bool) {
        self.change(|state| {
            state.faults.hang_up = hang_up;
            state.close_all();
        });
    }

    /// Whether it can be connected to, but is not ready: what a starting server is.
    pub(crate) fn unready(&self, unready: bool) {
        self.change(|state| state.faults.unready = unready);
    }

    /// Answers lists of a path with this, whatever there is; `None`: with what there is again.
    pub(crate) fn answer_lists(&self, path: &str, body: Option<&str>) {
        self.change(|state| {
            state.faults.bodies.remove(path);
            if let Some(body) = body {
                state.faults.bodies.insert(path.into(), body.into());
            }
        });
    }

    /// Takes a right away from everybody, such as `list nodes`.
    pub(crate) fn deny(&self, right: &str) {
        self.change(|state| state.faults.denied.push(right.into()));
    }

    /// Lists have no end.
    pub(crate) fn endless(&self, endless: Option<Endless>) {
        self.change(|state| state.faults.endless = endless);
    }

    /// Breaks all watches off, in the middle of a line.
    pub(crate) fn break_watches(&self) {
        self.change(|state| state.breaks += 1);
    }

    /// Ends all watches in good order.
    pub(crate) fn end_watches(&self) {
        self.change(|state| state.ends += 1);
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
        let listener = TcpListener::bind(self.address).unwrap();
        self.change(|state| {
            state.listening = true;
            state.faults.refusing = false;
        });
        self.listen(listener);
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.shared.lock().requests.clone()
    }

    /// When the first request came, if one has.
    pub(crate) fn first_asked(&self) -> Option<Instant> {
        self.shared.lock().first_asked
    }

    /// Forgets what was asked.
    pub(crate) fn forget_requests(&self) {
        self.shared.lock().requests.clear();
    }

    /// How many connections were accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }

    /// How many watches are being served.
    pub(crate) fn watches(&self) -> usize {
        self.shared.lock().watching
    }

    /// Waits until so many watches are being served.
    pub(crate) fn wait_for_watches(&self, count: usize) {
        self.wait("watches", |state| state.watching == count);
    }

    /// Waits until what was asked is as it should be.
    pub(crate) fn wait_for_requests(&self, enough: impl Fn(&[Asked]) -> bool) {
        self.wait("requests", |state| enough(&state.requests));
    }

    /// Notes from now on when the event of each version is sent.
    pub(crate) fn note_sent(&self) {
        self.change(|state| state.sent = Some(BTreeMap::new()));
    }

    /// When the event of a version was handed to the system, to be sent, if it has been.
    pub(crate) fn sent(&self, version: u64) -> Option<Instant> {
        self.shared.lock().sent.as_ref()?.get(&version).copied()
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held the lock has failed already.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn close_all(&mut self) {
        for stream in std::mem::take(&mut self.open).into_values() {
            // It may be closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
