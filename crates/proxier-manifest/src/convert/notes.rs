//! What is noted while an object is converted.

use std::fmt::Display;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::address::{self, Parsed};
use crate::field_error::FieldError;

/// How many entries of one object are reported one by one.
const MAX_REPORTED: usize = 100;

/// The entries of an object that are left out, and what is used otherwise than it is written.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) left_out: Vec<FieldError>,
    pub(crate) warnings: Vec<FieldError>,
    uncounted: (usize, usize),
}

impl Notes {
    /// Notes that an entry cannot be used.
    pub(crate) fn leave_out(&mut self, field: impl AsRef<str>, reason: impl AsRef<str>) {
        if self.left_out.len() < MAX_REPORTED {
            self.left_out.push(FieldError::new(field, reason));
        } else {
            self.uncounted.0 += 1;
        }
    }

    fn warn(&mut self, field: impl AsRef<str>, reason: impl AsRef<str>) {
        if self.warnings.len() < MAX_REPORTED {
            self.warnings.push(FieldError::new(field, reason));
        } else {
            self.uncounted.1 += 1;
        }
    }

    /// The value, if it can be used.
    pub(super) fn usable<T, E: Display>(
        &mut self,
        field: impl FnOnce() -> String,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.leave_out(field(), error.to_string());
                None
            }
        }
    }

    /// The address, if it can be used.
    pub(super) fn address(&mut self, field: impl Fn() -> String, text: &str) -> Option<IpAddr> {
        let parsed = self.usable(&field, address::address(text))?;
        Some(self.without_zeros(field, text, parsed))
    }

    /// The address, if packets to it can come from another machine: not that of every machine's own loopback link, and not
    /// the null address.
    pub(super) fn reachable(&mut self, field: impl Fn() -> String, text: &str) -> Option<IpAddr> {
        let address = self.address(&field, text)?;
        let own = match address {
            _ if address.is_loopback() => {
                "is a loopback address, by which every machine means itself"
            }
            _ if address.is_unspecified() => "is the null address, which nothing can have",
            _ => return Some(address),
        };
        self.leave_out(field(), format!("{address} {own}"));
        None
    }

    /// The network, if it can be used; bits beyond its prefix are cleared.
    pub(super) fn network(&mut self, field: impl Fn() -> String, text: &str) -> Option<IpNetwork> {
        let parsed = self.usable(&field, address::network(text))?;
        let network = self.without_zeros(field, text, parsed);
        IpNetwork::new(network.network(), network.prefix()).ok()
    }

    fn without_zeros<T: Display>(
        &mut self,
        field: impl Fn() -> String,
        text: &str,
        parsed: Parsed<T>,
    ) -> T {
        if parsed.zeros {
            let read = &parsed.value;
            self.warn(
                field(),
                format!("{text:?} has leading zeros, and is read as {read}; write it without them"),
            );
        }
        parsed.value
    }

    /// The entries of a list, each with its index. Null ones are noted first, and left out.
    pub(super) fn entries<T>(
        &mut self,
        field: &str,
        list: Option<Vec<Option<T>>>,
    ) -> impl Iterator<Item = (usize, T)> + use<T> {
        let list = list.unwrap_or_default();
        for (n, _) in list.iter().enumerate().filter(|(_, e)| e.is_none()) {
            self.note_null(&format!("{field}[{n}]"));
        }
        let list = list.into_iter().enumerate();
        list.filter_map(|(n, entry)| Some((n, entry?)))
    }

    /// The first entry left out at or below a field as an error, if there is one.
    pub(super) fn reject_at(&mut self, field: &str) -> Result<(), FieldError> {
        let mut all = self.left_out.iter();
        match all.position(|error| error.field.starts_with(field)) {
            Some(at) => Err(self.left_out.remove(at)),
            None => Ok(()),
        }
    }

    /// An entry with a wrong type was made null, and noted when that was done.
    fn note_null(&mut self, entry: &str) {
        let noted = self.left_out.iter().any(|error| {
            let rest = error.field.strip_prefix(entry);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        if !noted {
            self.leave_out(entry, "is null");
        }
    }

    /// With the number of those that were too many to be reported.
    pub(super) fn finished(mut self) -> Self {
        let (left_out, warnings) = self.uncounted;
        if left_out > 0 {
            let reason = format!("{left_out} more entries cannot be used");
            self.left_out.push(FieldError::new("", reason));
        }
        if warnings > 0 {
            let reason = format!("{warnings} more entries have leading zeros");
            self.warnings.push(FieldError::new("", reason));
        }
        self
    }
}
