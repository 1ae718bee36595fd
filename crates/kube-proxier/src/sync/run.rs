//! The loop.

use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout_at;

use super::{Report, Syncer};
use crate::event::Event;
use crate::machine::Machine;

/// Who is told how it goes.
pub trait Status<M> {
    /// An event came.
    fn heard(&mut self, event: &Event);

    /// There is something to do, for the first time since the last sync.
    fn queued(&mut self);

    /// A sync was made.
    fn synced(&mut self, report: &Report, syncer: &Syncer<M>);
}

/// Takes in events and syncs until nobody is left who could send any. Kernel calls block, so this wants a
/// thread of its own; `runtime` is run by another one.
pub fn run<M: Machine>(
    syncer: &mut Syncer<M>,
    mut events: Receiver<Event>,
    runtime: &Handle,
    status: &mut impl Status<M>,
) {
    loop {
        let next = syncer.next();
        let heard = runtime.block_on(async {
            match next {
                Some(due) => timeout_at(due.into(), events.recv()).await,
                None => Ok(events.recv().await),
            }
        });
        match heard {
            Ok(None) => return,
            Ok(Some(first)) => {
                take(syncer, first, status);
                // A burst that never ends must not keep a sync from being made.
                for _ in 0..events.len() {
                    if let Ok(event) = events.try_recv() {
                        take(syncer, event, status);
                    }
                }
            }
            // The time has come.
            Err(_) => {}
        }
        if let Some(report) = syncer.step(Instant::now) {
            status.synced(&report, syncer);
        }
    }
}

fn take<M: Machine>(syncer: &mut Syncer<M>, event: Event, status: &mut impl Status<M>) {
    status.heard(&event);
    if syncer.take(event, Instant::now()) {
        status.queued();
    }
}
