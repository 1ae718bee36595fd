//! The results of a batch.

use std::collections::BTreeMap;

use crate::Error;

/// The result of each request of a batch. Successes take no memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "each request has a result of its own"]
pub struct Report {
    requests: usize,
    failures: BTreeMap<usize, Error>,
}

impl Report {
    pub(crate) fn new(requests: usize, failures: BTreeMap<usize, Error>) -> Self {
        Self { requests, failures }
    }

    /// Adds the results of the requests that came after these.
    pub(crate) fn append(&mut self, next: Self) {
        let from = self.requests;
        let failures = next.failures.into_iter();
        self.failures
            .extend(failures.map(|(index, error)| (from + index, error)));
        self.requests += next.requests;
    }

    /// Adds a request that failed.
    pub(crate) fn push_failure(&mut self, error: Error) {
        self.failures.insert(self.requests, error);
        self.requests += 1;
    }

    /// How many requests the batch had.
    pub fn len(&self) -> usize {
        self.requests
    }

    /// Whether the batch had no requests.
    pub fn is_empty(&self) -> bool {
        self.requests == 0
    }

    /// Whether all requests succeeded.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    /// The result of the request with this index.
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::Unknown`], [`Error::NotSent`] or [`Error::TooLong`].
    pub fn result(&self, index: usize) -> Result<(), &Error> {
        self.failures.get(&index).map_or(Ok(()), Err)
    }

    /// All results in the order of the requests.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<(), &Error>> {
        (0..self.requests).map(|index| self.result(index))
    }

    /// The requests that failed, with their index, in order.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = (usize, &Error)> {
        self.failures.iter().map(|(index, error)| (*index, error))
    }

    /// The requests that failed, with their index, in order.
    pub fn into_failures(self) -> impl ExactSizeIterator<Item = (usize, Error)> {
        self.failures.into_iter()
    }

    /// The first failure, for a batch that makes sense only as a whole.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub fn into_result(self) -> Result<(), Error> {
        self.failures.into_values().next().map_or(Ok(()), Err)
    }
}
