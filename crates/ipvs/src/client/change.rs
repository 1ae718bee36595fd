//! Requests that change something, one by one or many at once.

use netlink_batch::Report;

use crate::client::{AsyncClient, Client, with_header};
use crate::{
    Daemon, DaemonRole, Destination, DestinationId, Error, Request, Result, Timeouts,
    VirtualServerConfig, VirtualServerId,
};

/// What became of each request of [`Client::apply`].
#[derive(Debug)]
#[must_use = "each request has a result of its own"]
pub struct Outcome<'a> {
    requests: &'a [Request],
    report: Report,
}

impl Outcome<'_> {
    /// Whether all succeeded.
    pub fn is_success(&self) -> bool {
        self.report.is_success()
    }

    /// The requests that failed, by index, in order.
    pub fn failures(&self) -> impl Iterator<Item = (usize, Error)> {
        self.report.failures().filter_map(|(index, error)| {
            let request = self.requests.get(index)?;
            Some((index, Error::transport(Some(*request), error.clone())))
        })
    }

    /// The result of the request at an index; success where there is no such request.
    ///
    /// # Errors
    /// [`Error::Refused`], or [`Error::Transport`] if the request was not sent or its answer lost.
    pub fn result(&self, index: usize) -> Result<()> {
        let request = self.requests.get(index).copied();
        self.report
            .result(index)
            .map_err(|error| Error::transport(request, error.clone()))
    }

    /// The first failure, for requests that make sense only together.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub fn into_result(self) -> Result<()> {
        self.failures()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }
}

netlink_batch::methods! { Client, AsyncClient;
    /// Sends all requests in as few system calls as possible; the kernel carries them out in order.
    /// One that fails fails alone, those after it are carried out as well. What requests get is
    /// dropped, and those for a whole table cannot be sent this way.
    pub async fn apply<'a>(&mut self, requests: &'a [Request]) -> Outcome<'a> {
        let header = self.header();
        let report = self
            .connection
            .execute_all(&mut self.batch, requests, |batch, request| {
                batch.push(header, &with_header(request));
            })
            .await;
        Outcome { requests, report }
    }

    /// Sends one request and waits until the kernel has carried it out.
    ///
    /// # Errors
    /// [`Error::Refused`], or [`Error::Transport`] if it was not sent or its answer lost.
    pub async fn request(&mut self, request: &Request) -> Result<()> {
        self.connection
            .request(self.header(), &with_header(request))
            .await
            .map_err(|error| Error::transport(Some(*request), error))
    }

    /// Adds a virtual server.
    ///
    /// # Errors
    /// [`Error::Refused`] if it [exists](super::Reason::ServiceExists), if the module of its
    /// [scheduler or engine](super::Reason::ModuleMissing) is missing, …; as
    /// [`request`](Self::request) else.
    pub async fn add_service(
        &mut self,
        id: VirtualServerId,
        config: VirtualServerConfig,
    ) -> Result<()> {
        self.request(&Request::NewService { id, config }).await
    }

    /// Configures a virtual server anew; its connections live on.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is [no such virtual server](super::Reason::NoSuchService), …;
    /// as [`request`](Self::request) else.
    pub async fn set_service(
        &mut self,
        id: VirtualServerId,
        config: VirtualServerConfig,
    ) -> Result<()> {
        self.request(&Request::SetService { id, config }).await
    }

    /// Deletes a virtual server with its destinations.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is [no such virtual server](super::Reason::NoSuchService); as
    /// [`request`](Self::request) else.
    pub async fn delete_service(&mut self, id: VirtualServerId) -> Result<()> {
        self.request(&Request::DeleteService { id }).await
    }

    /// Adds a destination.
    ///
    /// Kernels older than its tunnel take it for IP in IP without a word: read it back where that
    /// matters.
    ///
    /// # Errors
    /// [`Error::Refused`] if it [exists](super::Reason::DestinationExists), or there is [no such
    /// virtual server](super::Reason::NoSuchService), …; as [`request`](Self::request) else.
    pub async fn add_destination(
        &mut self,
        service: VirtualServerId,
        destination: Destination,
    ) -> Result<()> {
        self.request(&Request::NewDestination {
            service,
            destination,
        })
        .await
    }

    /// Configures a destination anew; its connections live on, also at weight 0.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is [no such destination](super::Reason::NoSuchDestination), …;
    /// as [`request`](Self::request) else.
    pub async fn set_destination(
        &mut self,
        service: VirtualServerId,
        destination: Destination,
    ) -> Result<()> {
        self.request(&Request::SetDestination {
            service,
            destination,
        })
        .await
    }

    /// Deletes a destination.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is [no such destination](super::Reason::NoSuchDestination), …;
    /// as [`request`](Self::request) else.
    pub async fn delete_destination(
        &mut self,
        service: VirtualServerId,
        id: DestinationId,
    ) -> Result<()> {
        self.request(&Request::DeleteDestination { service, id })
            .await
    }

    /// Deletes all virtual servers of the network namespace, whoever made them.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn flush(&mut self) -> Result<()> {
        self.request(&Request::Flush).await
    }

    /// Zeroes the counters of a virtual server and its destinations; without one, all counters.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is [no such virtual server](super::Reason::NoSuchService); as
    /// [`request`](Self::request) else.
    pub async fn zero(&mut self, service: Option<VirtualServerId>) -> Result<()> {
        self.request(&Request::Zero(service)).await
    }

    /// Sets the timeouts that are not 0, in seconds.
    ///
    /// # Errors
    /// [`Error::Refused`] if one is [out of range](super::Reason::Invalid); as
    /// [`request`](Self::request) else.
    pub async fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<()> {
        self.request(&Request::SetTimeouts(timeouts)).await
    }

    /// Starts a sync daemon.
    ///
    /// # Errors
    /// [`Error::Refused`] if one of its role [runs](super::Reason::DaemonRunning), or there is [no
    /// such interface](super::Reason::NoSuchInterface), …; as [`request`](Self::request) else.
    pub async fn start_daemon(&mut self, daemon: Daemon) -> Result<()> {
        self.request(&Request::NewDaemon(daemon)).await
    }

    /// Stops a sync daemon.
    ///
    /// # Errors
    /// [`Error::Refused`] if [none runs](super::Reason::NoSuchDaemon); as
    /// [`request`](Self::request) else.
    pub async fn stop_daemon(&mut self, role: DaemonRole) -> Result<()> {
        self.request(&Request::DeleteDaemon(role)).await
    }
}
