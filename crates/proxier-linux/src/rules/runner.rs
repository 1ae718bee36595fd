//! The thread that the tools of a family run in.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use iptables_restore::{
    Error, Rejection, RestoreInput, RestoreOptions, SaveOptions, SavedText, Tools,
};

use super::{allowance, is_passing};
use crate::restore::Run;
use crate::tools::Found;

/// How long a tool may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Base chains of nft are somebody else's; no edit of the proxy's can touch them
/// ([`IncompleteReason`](iptables_restore::IncompleteReason)).
fn save_options() -> SaveOptions {
    SaveOptions::new().hidden_base_chains()
}

/// The tools, found when they are first used.
#[derive(Clone)]
pub(super) struct Worker {
    find: Arc<dyn Fn() -> Result<Found, Error> + Send + Sync>,
    found: Arc<OnceLock<Found>>,
    /// How long a tool may take, where it is not as usual.
    limit: Arc<OnceLock<Duration>>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worker").field(&self.found.get()).finish()
    }
}

impl Worker {
    pub(super) fn new(find: impl Fn() -> Result<Found, Error> + Send + Sync + 'static) -> Self {
        Self {
            find: Arc::new(find),
            found: Arc::default(),
            limit: Arc::default(),
        }
    }

    /// Gives tools this time, if they have none of their own yet.
    pub(super) fn set_limit(&self, limit: Duration) {
        let _ = self.limit.set(limit);
    }

    /// The tools with the time that they have, and so much more.
    fn limited(&self, more: Duration) -> Result<Tools, Error> {
        let limit = self.limit.get().copied().unwrap_or(LIMIT);
        Ok(self.usable()?.clone().time_limit(limit + more))
    }

    pub(super) fn found(&self) -> Option<&Found> {
        self.found.get()
    }

    fn usable(&self) -> Result<&Tools, Error> {
        let found = match self.found.get() {
            Some(found) => found,
            None => {
                let found = (self.find)()?;
                self.found.get_or_init(|| found)
            }
        };
        Ok(&found.tools)
    }

    pub(super) fn find(&self) -> Result<(), Error> {
        self.usable().map(|_| ())
    }

    pub(super) fn save(&self) -> Result<SavedText, Error> {
        self.limited(Duration::ZERO)?.save_text(&save_options())
    }

    pub(super) fn restore(&self, text: &str, lines: usize) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        let tools = self.limited(allowance(lines))?;
        tools.restore_text(text, &RestoreOptions::default())
    }

    pub(super) fn explain(
        &self,
        mut rejection: Box<Rejection>,
        input: &RestoreInput,
    ) -> Box<Rejection> {
        if let Ok(tools) = self.limited(Duration::ZERO) {
            tools.explain(&mut rejection, input);
        }
        rejection
    }
}

/// What the thread is to do.
#[derive(Debug)]
enum Request {
    Find,
    Save,
    /// A text, and how many lines count for the time that it may take.
    Restore(String, usize),
    Explain(Box<Rejection>, Box<RestoreInput>),
}

/// What it did.
#[derive(Debug)]
enum Reply {
    Found(Result<(), Error>),
    Saved(Result<SavedText, Error>),
    Restored(Result<(), Error>),
    Explained(Box<Rejection>),
}

#[derive(Debug)]
pub(super) struct Runner {
    requests: Sender<Request>,
    replies: Receiver<Reply>,
    /// What was asked for last, while its reply has not been taken.
    running: Option<Running>,
    /// Its reply, received before it was wanted.
    early: Option<Reply>,
    /// Whether it was waited for in vain. It is not waited for again: one tool that hangs would delay every sync.
    overdue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Find,
    Save,
    Restore,
    Explain,
}

impl Runner {
    /// None where no thread can be had.
    pub(super) fn start(worker: &Worker) -> Option<Self> {
        let worker = worker.clone();
        let (requests, received) = channel();
        let (sender, replies) = channel();
        let thread = thread::Builder::new().name("rules".to_owned());
        let started = thread.spawn(move || {
            for request in received {
                let reply = match request {
                    Request::Find => Reply::Found(worker.find()),
                    Request::Save => Reply::Saved(worker.save()),
                    Request::Restore(text, lines) => Reply::Restored(worker.restore(&text, lines)),
                    Request::Explain(rejection, input) => {
                        Reply::Explained(worker.explain(rejection, &input))
                    }
                };
                if sender.send(reply).is_err() {
                    return;
                }
            }
        });
        started.ok()?;
        Some(Self {
            requests,
            replies,
            running: None,
            early: None,
            overdue: false,
        })
    }

    /// What runs is waited for, also where it was once in vain.
    pub(super) const fn wait_again(&mut self) {
        self.overdue = false;
    }

    /// Sends a request once nothing runs any more. Whether it was sent.
    fn send(&mut self, request: Request, patience: Duration) -> bool {
        if self.running.is_some() && self.wait(patience).is_none() {
            return false;
        }
        let running = match request {
            Request::Find => Running::Find,
            Request::Save => Running::Save,
            Request::Restore(..) => Running::Restore,
            Request::Explain(..) => Running::Explain,
        };
        let sent = self.requests.send(request).is_ok();
        if sent {
            self.running = Some(running);
        }
        sent
    }

    /// What runs, once it has ended.
    fn wait(&mut self, patience: Duration) -> Option<Reply> {
        let patience = if self.overdue {
            Duration::ZERO
        } else {
            patience
        };
        let early = self.early.take();
        let reply = early.or_else(|| self.replies.recv_timeout(patience).ok());
        self.overdue = reply.is_none();
        if reply.is_some() {
            self.running = None;
        }
        reply
    }

    pub(super) fn begin_find(&mut self) {
        let _ = self.send(Request::Find, Duration::ZERO);
    }

    /// What came of finding the tools, if that is known in time.
    pub(super) fn found(&mut self, patience: Duration) -> Option<Result<(), Error>> {
        match self.wait(patience)? {
            Reply::Found(found) => Some(found),
            Reply::Saved(_) | Reply::Restored(_) | Reply::Explained(_) => None,
        }
    }

    pub(super) fn begin_save(&mut self) {
        // One that runs already is taken: a slow tool would never come to an end else.
        if self.running != Some(Running::Save) {
            let _ = self.send(Request::Save, Duration::ZERO);
        }
    }

    /// Whether the rules have been read meanwhile. Otherwise they are being read from now on.
    pub(super) fn answered(&mut self) -> bool {
        if self.running.is_some() && self.early.is_none() {
            self.early = self.replies.try_recv().ok();
        }
        let read = |reply: &Reply| match reply {
            Reply::Saved(saved) => !saved.as_ref().is_err_and(is_passing),
            // What it read is older than that change.
            Reply::Found(_) | Reply::Restored(_) | Reply::Explained(_) => false,
        };
        let done = self.early.take_if(|reply| !read(reply)).is_some();
        if done || self.running.is_none() {
            self.running = None;
            self.overdue = false;
            self.begin_save();
            // It is waited for in vain only once.
            self.overdue = true;
        }
        self.early.is_some()
    }

    /// The rules as text. They are parsed by the thread that keeps them: memory that this one has freed would stay its own. A save
    /// that runs already is waited for: since it began nothing was changed by this.
    pub(super) fn saved(&mut self, patience: Duration) -> Option<Result<SavedText, Error>> {
        let deadline = Instant::now() + patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        if self.running != Some(Running::Save) && !self.send(Request::Save, left()) {
            return None;
        }
        match self.wait(left())? {
            Reply::Saved(saved) => Some(saved),
            Reply::Found(_) | Reply::Restored(_) | Reply::Explained(_) => None,
        }
    }

    pub(super) fn restored(
        &mut self,
        run: &Run<'_>,
        lines: usize,
        patience: Duration,
    ) -> Option<Result<(), Error>> {
        let deadline = Instant::now() + patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        if !self.send(Request::Restore(run.text(), lines), left()) {
            return None;
        }
        match self.wait(left())? {
            Reply::Restored(done) => Some(done),
            Reply::Found(_) | Reply::Saved(_) | Reply::Explained(_) => None,
        }
    }

    /// A rejection with its explanation, or as it is if there is none in time.
    pub(super) fn explained(
        &mut self,
        rejection: Box<Rejection>,
        input: RestoreInput,
        patience: Duration,
    ) -> Box<Rejection> {
        let asked = Request::Explain(rejection.clone(), Box::new(input));
        if !self.send(asked, patience) {
            return rejection;
        }
        match self.wait(patience) {
            Some(Reply::Explained(explained)) => explained,
            _ => rejection,
        }
    }
}
