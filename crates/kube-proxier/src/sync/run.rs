//! The loop.

use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep_until, timeout_at};

use super::{Report, Syncer};
use crate::event::Event;
use crate::machine::Machine;
use crate::stop::Stop;

/// While changes wait to be synced, those that follow are taken in together, once in this time: to be woken for each would cost
/// more than most of them do.
const TAKE: Duration = Duration::from_millis(2);

/// Receives what the loop does: for metrics, health and logs.
pub trait Observer<M> {
    /// An event came.
    fn received(&mut self, event: &Event);

    /// There is something to do, for the first time since the last sync.
    fn queued(&mut self);

    /// A sync was made.
    fn synced(&mut self, report: &Report, syncer: &Syncer<M>);
}

/// Takes in events and syncs until nobody is left who could send any, or the order to stop is given; a sync that is under
/// way is finished first. Kernel calls block, so this wants a thread of its own.
///
/// # Errors
///
/// If the system gives no means to wait for events.
pub fn run<M: Machine>(
    syncer: &mut Syncer<M>,
    mut events: Receiver<Event>,
    stop: &Stop,
    observer: &mut impl Observer<M>,
) -> io::Result<()> {
    // Of its own, so that it can wait however the rest of the process ends.
    let runtime = Builder::new_current_thread().enable_time().build()?;
    loop {
        let next = syncer.next();
        let waits = syncer.waits_until();
        let received = runtime.block_on(async {
            let event = async {
                if let Some(until) = waits {
                    sleep_until(until.min(Instant::now() + TAKE).into()).await;
                }
                match next {
                    Some(due) => timeout_at(due.into(), events.recv()).await,
                    None => Ok(events.recv().await),
                }
            };
            tokio::select! {
                biased;
                () = stop.given() => Ok(None),
                event = event => event,
            }
        });
        match received {
            Ok(None) => return Ok(()),
            Ok(Some(first)) => {
                // One look at the clock for all of them: where the kernel has to be asked, that takes longer than to take one in.
                let now = Instant::now();
                take(syncer, first, now, observer);
                // A burst that never ends must not keep a sync from being made.
                for _ in 0..events.len() {
                    if let Ok(event) = events.try_recv() {
                        take(syncer, event, now, observer);
                    }
                }
            }
            // The time has come.
            Err(_) => {}
        }
        if let Some(report) = syncer.step(Instant::now) {
            observer.synced(&report, syncer);
        }
    }
}

fn take<M: Machine>(
    syncer: &mut Syncer<M>,
    event: Event,
    now: Instant,
    observer: &mut impl Observer<M>,
) {
    observer.received(&event);
    if syncer.take(event, now) {
        observer.queued();
    }
}
