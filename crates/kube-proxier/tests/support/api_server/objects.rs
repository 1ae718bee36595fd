//! The objects that a test gives a stand-in.

use serde_json::Value;

use super::ApiServer;

impl ApiServer {
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
}
