//! Events that clients create.

use serde_json::Value;

use super::answer::status;
use super::{ApiServer, Shared};

impl ApiServer {
    /// The Events that were created.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.shared.lock().events.clone()
    }

    /// Waits until so many Events were created.
    pub(crate) fn wait_for_events(&self, count: usize) -> Vec<Value> {
        self.wait("Events", |state| state.events.len() >= count);
        self.events()
    }
}

/// The answer to the creation of an Event.
pub(super) fn create(shared: &Shared, body: &[u8]) -> (u16, Value) {
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut state = shared.lock();
    if state
        .faults
        .denied
        .iter()
        .any(|right| right == "create events")
    {
        return (403, status(403, "events is forbidden"));
    }
    let name = |event: &Value| event["metadata"]["name"].clone();
    if state.events.iter().any(|known| name(known) == name(&event)) {
        return (409, status(409, "already exists"));
    }
    state.events.push(event.clone());
    drop(state);
    shared.changed.notify_all();
    (201, event)
}
