//! Requests that belong together: one datagram or none.

use crate::ack::parse_ack;
use crate::error::{Error, KernelError, Loss};
use crate::inbox::{Piece, Received};
use crate::message::FIRST_DATA_TYPE;
use crate::uapi::NLMSG_ERROR;
use crate::{AsyncConnection, AsyncTransport, Batch, Connection};

/// What the kernel answered to a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Whether the request that asked for it was acknowledged.
    pub acknowledged: bool,
    /// The requests that the kernel refused, by index, in the order of its answers.
    pub refused: Vec<(usize, KernelError)>,
    /// What was lost of the answers, if any was.
    pub loss: Option<Loss>,
}

crate::methods! { Connection, AsyncConnection;
    /// Sends all requests of the batch as one datagram, never divided, and reads all answers. Of all
    /// requests only `acknowledge` asks for an acknowledgement; the kernel reports errors of the others
    /// all the same. Where it is carried out that is two system calls.
    ///
    /// This is for subsystems to which one datagram is one transaction (nf_tables). What the answers mean
    /// for the transaction as a whole is theirs to know.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the socket's send buffer does not take it
    /// ([`SocketOptions::buffers`](crate::SocketOptions::buffers)), [`Error::NotSent`]. Nothing has
    /// reached the kernel then.
    pub async fn execute_whole(
        &mut self,
        batch: &mut Batch,
        acknowledge: usize,
    ) -> Result<Answers, Error> {
        self.begin().await;
        let answers = self.send_whole(batch, acknowledge).await;
        self.end();
        answers
    }
}

impl<T: AsyncTransport> AsyncConnection<T> {
    async fn send_whole(
        &mut self,
        batch: &mut Batch,
        acknowledge: usize,
    ) -> Result<Answers, Error> {
        let (length, limit) = (batch.byte_len(), self.inbox.info().send_limit);
        if length > limit {
            return Err(Error::TooLong { length, limit });
        }
        let first = self.next_sequence;
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        self.next_sequence = first.wrapping_add(count);
        let datagram = batch.seal_with(0, batch.len(), first, |index| index == acknowledge);
        self.inbox.send(datagram).await.map_err(Error::NotSent)?;

        let mut answers = Answers {
            acknowledged: false,
            refused: Vec::new(),
            loss: None,
        };
        loop {
            // The acknowledgement comes behind the errors of the requests before it.
            if answers.acknowledged {
                return Ok(answers);
            }
            // The kernel has answered when sending returns. The wait is for an answer to come at all.
            let nothing_yet = answers.refused.is_empty() && answers.loss.is_none();
            let wait = nothing_yet.then_some(self.limits.reply_timeout);
            match self.inbox.receive(wait).await {
                Received::Datagram(datagram) => datagram.visit(|piece| {
                    let (message, cut) = match piece {
                        Piece::Whole(message) => (message, None),
                        Piece::Cut(message, loss) => (message, Some(loss)),
                        Piece::Broken(loss) => {
                            answers.loss = Some(loss);
                            return;
                        }
                    };
                    let offset = message.sequence.wrapping_sub(first);
                    if offset >= count || message.message_type != NLMSG_ERROR {
                        if cut.is_some() && message.message_type >= FIRST_DATA_TYPE {
                            answers.loss = cut;
                        }
                        return;
                    }
                    let index = usize::try_from(offset).unwrap_or(usize::MAX);
                    match parse_ack(&message) {
                        Some(Ok(())) => answers.acknowledged |= index == acknowledge,
                        Some(Err(error)) => answers.refused.push((index, error)),
                        None => {
                            answers.loss = Some(Loss::ShortAcknowledgement(message.payload.len()));
                        }
                    }
                }),
                Received::Overflow => answers.loss = Some(Loss::Overflow),
                Received::Empty => {
                    if nothing_yet {
                        answers.loss = Some(Loss::Timeout(self.limits.reply_timeout));
                    }
                    return Ok(answers);
                }
                Received::Failed(os) => {
                    answers.loss = Some(Loss::Receive(os));
                    return Ok(answers);
                }
            }
        }
    }
}
