//! What comes from outside: signals, and changes of the file.

use std::io;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};

use crate::Event;

/// Sends an event for each signal. To be called before other threads are started, which then leave the
/// signals to the one that waits for them.
pub(crate) fn signals(events: Sender<Event>) -> io::Result<()> {
    let set = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
    let set: SigSet = set.into_iter().collect();
    set.thread_block()?;
    let wait = move || {
        while let Ok(signal) = set.wait() {
            let event = match signal {
                Signal::SIGHUP => Event::Reload,
                _ => Event::Stop,
            };
            // The main loop may have ended.
            let _ = events.send(event);
        }
    };
    thread::Builder::new().spawn(wait).map(|_| ())
}

/// Sends [`Event::Reload`] when the file was written or replaced. The folder is watched, because editors
/// put a new file in the place of the old one; Kubernetes does so with the link `..data` beside it.
pub(crate) fn file(file: &Path, events: Sender<Event>) -> io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let changes = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO;
    inotify.add_watch(folder, changes)?;
    let names = [
        file.file_name().map(ToOwned::to_owned),
        Some("..data".into()),
    ];
    let wait = move || {
        while let Ok(changed) = inotify.read_events() {
            if changed.iter().any(|event| names.contains(&event.name)) {
                let _ = events.send(Event::Reload);
            }
        }
    };
    thread::Builder::new().spawn(wait).map(|_| ())
}
