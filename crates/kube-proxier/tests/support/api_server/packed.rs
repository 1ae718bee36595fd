//! Lists in gzip.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{ApiServer, Asked, Shared};

/// A list as it is sent, and the line of the head that names how it is packed, if it is.
pub(super) fn packed(shared: &Shared, asked: &Asked, body: Vec<u8>) -> (&'static str, Vec<u8>) {
    let from = shared.lock().faults.packs_from;
    let accepted = asked
        .accept_encoding
        .split(',')
        .any(|coding| coding.trim() == "gzip");
    if !accepted || from.is_none_or(|from| body.len() < from) {
        return ("", body);
    }
    ("\r\ncontent-encoding: gzip", gzip(&body))
}

/// As an API server packs it: quickly.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl ApiServer {
    /// Packs lists of so many bytes and more, for whoever asks for that; `None`: no lists.
    pub(crate) fn pack_lists(&self, from: Option<usize>) {
        self.change(|state| state.faults.packs_from = from);
    }
}
