//! Transactions.

use netlink_batch::{Answers, AsyncTransport, Header, KernelError, errno};
use netlink_wire::{Writer, measure};

use super::{AsyncClient, Client, ERESTART};
use crate::Error;
use crate::message::{Transaction, begin, end};
use crate::uapi::{NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END};

netlink_batch::methods! { Client, AsyncClient;
    /// Makes all changes of a transaction, or none: one message to the kernel, one system call to send it.
    /// The socket's send buffer grows as far as it takes.
    ///
    /// # Errors
    /// [`Error::Refused`] names the change at fault, with errno and the kernel's text;
    /// [`Error::GenerationChanged`] if the transaction asked for another generation;
    /// [`Error::NotPermitted`], [`Error::NoNftables`], [`Error::NotCommitted`], [`Error::TooLong`]:
    /// nothing was changed. [`Error::Netlink`] with
    /// [`netlink_batch::Error::Unknown`]: the answer got lost; read the rule set.
    pub async fn apply(&mut self, transaction: &Transaction) -> Result<(), Error> {
        self.encode(transaction)?;
        let length = self.batch.byte_len();
        let socket = self.connection.transport_mut();
        if length > socket.socket_info().send_limit {
            socket.reserve_send(length).map_err(Error::Netlink)?;
        }
        self.send(transaction).await
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Writes a transaction into the batch: what begins it, its changes, what ends it.
    pub(super) fn encode(&mut self, transaction: &Transaction) -> Result<(), Error> {
        self.batch.clear();
        if let Some(operation) = transaction.oversized() {
            return Err(Error::TooLong {
                operation: operation.to_string(),
            });
        }
        let generation = transaction.generation();
        self.frame(NFNL_MSG_BATCH_BEGIN, |writer| begin(generation, writer));
        for operation in transaction.operations() {
            let header = Header::new(operation.message_type()).with(operation.flags());
            self.batch.push(header, operation);
        }
        self.frame(NFNL_MSG_BATCH_END, end);
        Ok(())
    }

    fn frame(&mut self, message_type: u16, encode: impl Fn(&mut Writer<'_>)) {
        self.batch.push_with(Header::new(message_type), |payload| {
            encode(&mut Writer::new(payload.zeroed(measure(&encode))));
        });
    }

    /// Sends the transaction that is in the batch.
    pub(super) async fn send(&mut self, transaction: &Transaction) -> Result<(), Error> {
        if transaction.is_empty() && transaction.generation().is_none() {
            return Ok(());
        }
        // The last change: kernels before 6.10 do not acknowledge the end.
        let last = self.batch.len().saturating_sub(2);
        let answers = self
            .connection
            .execute_whole(&mut self.batch, last)
            .await
            .map_err(Error::Netlink)?;
        outcome(transaction, answers)
    }
}

/// What the answers mean for a transaction.
fn outcome(transaction: &Transaction, answers: Answers) -> Result<(), Error> {
    let mut refused = answers.refused;
    // An error of the message that begins it is one of all.
    if let Some(at) = refused.iter().position(|(index, _)| *index == 0) {
        return Err(whole(transaction, refused.swap_remove(at).1));
    }
    let others = refused.len().saturating_sub(1);
    if let Some((index, reason)) = refused.into_iter().next() {
        let index = index.saturating_sub(1);
        let operation = transaction.operations().get(index);
        return Err(Error::Refused {
            index,
            operation: operation.map_or_else(|| "end it".to_owned(), ToString::to_string),
            reason,
            others,
        });
    }
    match answers.loss {
        _ if answers.acknowledged || transaction.is_empty() => Ok(()),
        Some(loss) => Err(Error::Netlink(netlink_batch::Error::Unknown(loss))),
        None => Err(Error::Netlink(netlink_batch::Error::NoReply)),
    }
}

fn whole(transaction: &Transaction, error: KernelError) -> Error {
    match (error.code, transaction.generation()) {
        (ERESTART, Some(expected)) => Error::GenerationChanged { expected },
        (errno::EPERM, _) => Error::NotPermitted,
        (errno::EOPNOTSUPP, _) => Error::NoNftables,
        _ => Error::NotCommitted(error),
    }
}
