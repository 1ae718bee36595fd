//! What was asked of the stand-in.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::time::Instant;

use super::ApiServer;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The header of that name.
    pub(crate) authorization: Option<String>,
    /// The header of that name; empty where there is none.
    pub(crate) accept: String,
    /// The header `accept-encoding`; empty where there is none.
    pub(crate) accept_encoding: String,
}

impl Asked {
    /// Reads a request of HTTP/1.1 and its body, if there is another.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<(Self, Vec<u8>)>> {
        let Some(first) = line(reader)? else {
            return Ok(None);
        };
        let target = first.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut asked = Self {
            path: path.into(),
            query: parse_query(query),
            authorization: None,
            accept: String::new(),
            accept_encoding: String::new(),
        };
        let mut length = 0;
        // Of the rest of the head nothing else is needed.
        while let Some(header) = line(reader)?.filter(|header| !header.is_empty()) {
            let (name, value) = header.split_once(':').unwrap_or_default();
            let value = value.trim();
            match &*name.to_ascii_lowercase() {
                "content-length" => length = value.parse().unwrap_or(0),
                "authorization" => asked.authorization = Some(value.to_owned()),
                "accept" => value.clone_into(&mut asked.accept),
                "accept-encoding" => value.clone_into(&mut asked.accept_encoding),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some((asked, body)))
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.query.get("watch").is_some_and(|watch| watch == "true")
    }

    /// Whether it is a list as a stream.
    pub(crate) fn is_streamed_list(&self) -> bool {
        self.is_watch() && self.query.contains_key("sendInitialEvents")
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
    }

    /// Whether it came with that token.
    pub(crate) fn shows(&self, token: &str) -> bool {
        let bearer = |header: &str| header.strip_prefix("Bearer ") == Some(token);
        self.authorization.as_deref().is_some_and(bearer)
    }
}

/// A line without its end, if there is another.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    reader.lines().next().transpose()
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (unescape(key), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl ApiServer {
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
}

#[test]
fn queries_are_unescaped() {
    let query = parse_query("labelSelector=%21a%2Fb%2C%21c&limit=5");
    assert_eq!(query["labelSelector"], "!a/b,!c");
    assert_eq!(query["limit"], "5");
}
