//! Many requests at once.

use netlink_batch::Batch;

use crate::Error;
use crate::client::{AsyncClient, Client, header_of};
use crate::message::{Payload, Request};

netlink_batch::methods! { Client, AsyncClient;
    /// Sends many requests in as few system calls as they fit, and returns the result of each, in
    /// order. One that fails does not stop those behind it.
    ///
    /// Only for requests that have no reply but success or failure: not [`Request::Protocol`],
    /// [`Request::List`], [`Request::Save`], [`Request::Header`], [`Request::Type`] and the
    /// indexes.
    ///
    /// # Errors
    /// Each result is that of the method of the same name. A swap or destroy is not retried.
    pub async fn execute(&mut self, requests: &[Request<'_>]) -> Vec<Result<(), Error>> {
        let mut batch = Batch::new();
        for request in requests {
            batch.push(
                header_of(request),
                &Payload {
                    protocol: self.protocol,
                    request,
                },
            );
        }
        let report = self.connection.execute(&mut batch).await;
        let mut results: Vec<_> = requests.iter().map(|_| Ok(())).collect();
        for (index, error) in report.into_failures() {
            if let (Some(request), Some(result)) = (requests.get(index), results.get_mut(index)) {
                *result = Err(self.error(request, error).await);
            }
        }
        results
    }
}
