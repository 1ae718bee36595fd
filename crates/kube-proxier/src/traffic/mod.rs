//! The traffic of Services, from the statistics of IPVS: metrics by Service port.
//!
//! Nothing is read until somebody asks. Then one dump of the virtual servers is made, without their destinations, and its
//! answer serves whoever asks within a second. Which Service a virtual server is of is asked of the loop, where anything was
//! synced since it was last asked; a loop that is busy is not waited for: what was known before does.

mod count;
mod names;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipvs_netlink::{Client, VirtualServer};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use self::count::Counted;
pub(crate) use self::count::add;
pub(crate) use self::names::{Names, PortName, port_label};
pub use self::text::TRAFFIC;
use crate::event::Event;
use crate::inquiry::Inquiry;

/// How long an answer is given again.
const FRESH: Duration = Duration::from_secs(1);
/// How long the loop may take to say what virtual servers there are.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts syncs, so that it is known whether names may have changed. A clone counts the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncCount(Arc<AtomicU64>);

impl SyncCount {
    /// A sync was made that may have changed what Services there are.
    pub(crate) fn more(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Reads all virtual servers, sorted.
type Read = Box<dyn FnMut() -> ipvs_netlink::Result<Vec<VirtualServer>> + Send>;

/// The metrics of traffic. A clone is the same.
#[derive(Clone)]
pub(crate) struct Traffic {
    events: mpsc::Sender<Event>,
    syncs: SyncCount,
    state: Arc<Mutex<State>>,
}

struct State {
    read: Read,
    names: Arc<Names>,
    /// The count of syncs when names were last had.
    named_at: Option<u64>,
    counted: Counted,
    failures: u64,
    /// Whether the last reading failed.
    failing: bool,
    /// Whether it was said that there are more ports than are shown.
    said_hidden: bool,
    /// The last answer, and when it was had.
    answer: Option<(Instant, Arc<str>)>,
}

impl Traffic {
    /// Of this machine, with series of their own for so many Service ports. By `events` the loop receives questions.
    pub(crate) fn new(events: mpsc::Sender<Event>, syncs: SyncCount, limit: usize) -> Self {
        let mut client: Option<Client> = None;
        let read = move || {
            let mut open = match client.take() {
                Some(open) => open,
                None => Client::open()?,
            };
            // After an error another one is opened.
            let servers = open.services()?;
            client = Some(open);
            Ok(servers)
        };
        Self::reading(events, syncs, limit, Box::new(read))
    }

    /// The same, where virtual servers are read otherwise.
    pub(crate) fn reading(
        events: mpsc::Sender<Event>,
        syncs: SyncCount,
        limit: usize,
        read: Read,
    ) -> Self {
        Self {
            events,
            syncs,
            state: Arc::new(Mutex::new(State {
                read,
                names: Arc::default(),
                named_at: None,
                counted: Counted::new(limit),
                failures: 0,
                failing: false,
                said_hidden: false,
                answer: None,
            })),
        }
    }

    /// The metrics, in Prometheus' text format. Empty in iptables mode, in which nothing counts by Service.
    pub(crate) async fn text(&self) -> Arc<str> {
        // Whoever asks at the same time waits here for the same answer.
        let mut state = Arc::clone(&self.state).lock_owned().await;
        if let Some((at, answer)) = &state.answer
            && at.elapsed() < FRESH
        {
            return Arc::clone(answer);
        }
        self.learn_names(&mut state).await;
        // The state goes along: a client that leaves meanwhile interrupts nothing.
        let answer = tokio::task::spawn_blocking(move || state.look());
        // No answer comes only as the process ends.
        answer.await.unwrap_or_default()
    }

    /// Asks the loop which Service each virtual server is of, if that may have changed.
    async fn learn_names(&self, state: &mut State) {
        let syncs = self.syncs.get();
        if state.named_at == Some(syncs) {
            return;
        }
        let (inquiry, answer) = Inquiry::new(Names::of);
        let ask = async {
            self.events.send(Event::Asked(inquiry)).await.ok()?;
            answer.await.ok()
        };
        if let Ok(Some(names)) = timeout(PATIENCE, ask).await {
            state.names = Arc::new(names);
            state.named_at = Some(syncs);
        }
    }
}

impl State {
    /// Reads the statistics, and makes an answer of them. Blocks.
    fn look(&mut self) -> Arc<str> {
        let answer = match self.names.of_ipvs {
            true => self.read(),
            false => Arc::default(),
        };
        self.answer = Some((Instant::now(), Arc::clone(&answer)));
        answer
    }

    fn read(&mut self) -> Arc<str> {
        let mut text = match (self.read)() {
            Ok(table) => {
                self.failing = false;
                self.counted.take(&self.names, &table);
                self.say_what_is_hidden();
                text::text(&self.counted)
            }
            Err(error) => {
                self.failures += 1;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the statistics of IPVS cannot be read; metrics are without traffic");
                }
                String::new()
            }
        };
        text::failures(&mut text, self.failures);
        text.into()
    }

    /// Logs once that not all ports have series of their own.
    fn say_what_is_hidden(&mut self) {
        let (hidden, _) = self.counted.rest();
        if hidden > 0 && !std::mem::replace(&mut self.said_hidden, true) {
            tracing::info!(
                ports = self.names.ports.len(),
                hidden,
                "metrics of traffic: there are more Service ports than --service-metrics-limit; the traffic of the rest is summed \
                 up as (other)"
            );
        }
    }
}

#[cfg(test)]
mod tests;
