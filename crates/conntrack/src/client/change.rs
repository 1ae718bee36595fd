//! Changing flows, and deleting all of them.

use netlink_batch::{AsyncTransport, Header, errno};
use netlink_wire::KernelVersion;

use super::{AsyncClient, Client};
use crate::message::Request;
use crate::{Error, Family, Filter, FlowKey, FlowUpdate};

/// The first release that deletes the flows of one family, when all of them are asked for.
const FLUSHES_FAMILIES: KernelVersion = KernelVersion::new(5, 4, 0);

netlink_batch::methods! { Client, AsyncClient;
    /// Changes flows, many to a system call, and returns how many of them were there. That one is gone is not an
    /// error.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]; [`Error::NotUpdated`] with the first that could not be changed: the others are tried
    /// all the same. Of one that is refused for a part of its change, the other parts may have been made.
    pub async fn update(&mut self, updates: &[FlowUpdate]) -> Result<usize, Error> {
        let (updated, failed) = self.change(updates, |update| Request::Update(*update)).await;
        let Some(failed) = failed else {
            return Ok(updated);
        };
        let key = updates.get(failed.place).map(|update| update.key);
        if let (Some(errno::EPERM), Some(key)) = (failed.reason.code(), &key) {
            // It may be about this flow alone, whose timeout is fixed.
            self.flow(key).await?;
        }
        Err(failed.into_error(key, |flow, others, reason| Error::NotUpdated {
            flow,
            others,
            reason,
        }))
    }

    /// Deletes all flows of this network namespace, of both families and every zone, with one request.
    ///
    /// # Errors
    /// [`Error::NoConntrack`], [`Error::NotPermitted`], [`Error::NotFlushed`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.flush_all(None).await
    }

    /// Deletes all flows of a family: with one request since Linux 5.4, before that one by one, as an older kernel
    /// would delete those of the other family too.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), [`flows`](Self::flows) and [`delete`](Self::delete).
    pub async fn flush_family(&mut self, family: Family) -> Result<(), Error> {
        self.flush_one(family, flushes_families()).await
    }
}

/// The first of several changes that failed.
pub(super) struct Failed {
    /// Its place among the changes.
    pub(super) place: usize,
    /// How many more there are.
    others: usize,
    pub(super) reason: netlink_batch::Error,
}

impl Failed {
    /// The error about this flow.
    pub(super) fn into_error(
        self,
        key: Option<FlowKey>,
        make: impl Fn(Box<FlowKey>, usize, netlink_batch::Error) -> Error,
    ) -> Error {
        match key {
            Some(key) => make(Box::new(key), self.others, self.reason),
            None => Error::Netlink(self.reason),
        }
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Sends a request for each item, and returns how many the kernel carried out, and the first that failed although
    /// its flow is there.
    pub(super) async fn change<I>(
        &mut self,
        items: &[I],
        request: impl Fn(&I) -> Request,
    ) -> (usize, Option<Failed>) {
        let report = self
            .connection
            .execute_all(&mut self.batch, items, |batch, item| {
                let request = request(item);
                let header = Header::new(request.message_type()).with(request.flags());
                batch.push(header, &request);
            })
            .await;
        let mut done = items.len();
        let mut failed: Option<Failed> = None;
        for (place, reason) in report.into_failures() {
            done -= 1;
            if reason.code() == Some(errno::ENOENT) {
                continue;
            }
            match &mut failed {
                Some(first) => first.others += 1,
                None => {
                    failed = Some(Failed {
                        place,
                        others: 0,
                        reason,
                    });
                }
            }
        }
        (done, failed)
    }

    pub(super) async fn flush_one(&mut self, family: Family, at_once: bool) -> Result<(), Error> {
        if at_once {
            return self.flush_all(Some(family)).await;
        }
        self.delete_where(&Filter::from(family)).await.map(|_| ())
    }

    async fn flush_all(&mut self, family: Option<Family>) -> Result<(), Error> {
        let request = Request::Flush(family);
        let header = Header::new(request.message_type()).with(request.flags());
        let flushed = self.connection.request(header, &request).await;
        flushed.map_err(|error| match error.code() {
            Some(errno::EINVAL) => Error::NoConntrack,
            Some(errno::EPERM) => Error::NotPermitted,
            _ => Error::NotFlushed(error),
        })
    }
}

/// Whether the running kernel is known to delete the flows of one family alone.
fn flushes_families() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    let version = release.ok().and_then(|text| text.trim_end().parse().ok());
    version.is_some_and(|version: KernelVersion| version >= FLUSHES_FAMILIES)
}
