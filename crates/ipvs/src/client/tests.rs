//! What no real kernel does on request: a scripted one.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use netlink_batch::{Connection, Transport, errno, uapi};
use netlink_packet_core::Emitable;

use crate::client::{Client, Reason};
use crate::message::Reply;
use crate::{
    Error, Family, Request, Scheduler, Statistics, VirtualServer, VirtualServerConfig,
    VirtualServerId,
};

/// The message type of the family.
const FAMILY: u16 = 28;
const PORT: u32 = 4711;

/// What the kernel answers to a request: message type, flags, payload.
type Answer = Vec<(u16, u16, Vec<u8>)>;

/// Answers each request by its number in the order they came.
struct Kernel<F> {
    answer: F,
    asked: usize,
    queue: VecDeque<Vec<u8>>,
}

impl<F: FnMut(usize, &[u8]) -> Answer> Transport for Kernel<F> {
    fn send(&mut self, mut datagram: &[u8]) -> io::Result<()> {
        while let Some((length, _)) = datagram.split_first_chunk::<4>() {
            let length = u32::from_ne_bytes(*length) as usize;
            let sequence = &datagram[8..12];
            for (kind, flags, payload) in (self.answer)(self.asked, &datagram[16..length]) {
                let mut message = Vec::new();
                message.extend(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
                message.extend(kind.to_ne_bytes());
                message.extend(flags.to_ne_bytes());
                message.extend(sequence);
                message.extend(PORT.to_ne_bytes());
                message.extend(payload);
                self.queue.push_back(message);
            }
            self.asked += 1;
            datagram = &datagram[length.next_multiple_of(4)..];
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        let message = self.queue.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let length = message.len().min(buffer.len());
        buffer[..length].copy_from_slice(&message[..length]);
        Ok(message.len())
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn protocol(&self) -> u16 {
        uapi::NETLINK_GENERIC
    }

    fn send_limit(&self) -> usize {
        1 << 16
    }

    fn receive_limit(&self) -> usize {
        1 << 20
    }
}

fn error(code: i32) -> (u16, u16, Vec<u8>) {
    (
        uapi::NLMSG_ERROR,
        0,
        [(-code).to_ne_bytes().to_vec(), vec![0; 16]].concat(),
    )
}

fn done() -> (u16, u16, Vec<u8>) {
    (uapi::NLMSG_DONE, uapi::NLM_F_MULTI, vec![0; 4])
}

/// `CTRL_ATTR_FAMILY_ID`, and success.
fn family() -> Answer {
    let attribute = [[6, 0], [1, 0], FAMILY.to_ne_bytes(), [0, 0]].concat();
    vec![
        (
            uapi::GENL_ID_CTRL,
            0,
            [vec![1, 2, 0, 0], attribute].concat(),
        ),
        error(0),
    ]
}

fn client<F: FnMut(usize, &[u8]) -> Answer>(answer: F) -> Result<Client<Kernel<F>>, Error> {
    Client::new(Connection::new(Kernel {
        answer,
        asked: 0,
        queue: VecDeque::new(),
    }))
}

fn id(mark: u32) -> VirtualServerId {
    VirtualServerId::FirewallMark {
        family: Family::V4,
        mark: mark.try_into().unwrap(),
    }
}

fn server(mark: u32) -> VirtualServer {
    let config = VirtualServerConfig::new(Scheduler::RR);
    VirtualServer {
        id: id(mark),
        config,
        statistics: Statistics::default(),
    }
}

fn service(mark: u32) -> (u16, u16, Vec<u8>) {
    let reply = Reply::Service(server(mark));
    let mut payload = vec![0; 4 + reply.buffer_len()];
    payload[..2].copy_from_slice(&[crate::uapi::IPVS_CMD_NEW_SERVICE, 1]);
    reply.emit(&mut payload[4..]);
    (FAMILY, uapi::NLM_F_MULTI, payload)
}

fn refusal(error: Error) -> (Request, Reason, String) {
    match error {
        Error::Refused(refusal) => (refusal.request, refusal.reason(), refusal.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_kernel_without_ipvs_is_told_with_the_module() {
    let refused = client(|_, _| vec![error(errno::ENOENT)]).err().unwrap();
    assert_eq!(refused, Error::NotLoaded);
    assert!(refused.to_string().contains("modprobe ip_vs"));
}

#[test]
fn a_dump_with_repeated_services_is_read_again() {
    let mut client = client(|asked, _| match asked {
        0 => family(),
        1 => vec![service(2), service(1), service(2), done()],
        _ => vec![service(2), service(3), service(1), done()],
    })
    .unwrap();
    assert_eq!(client.services(), Ok(vec![server(1), server(2), server(3)]));
}

#[test]
fn a_dump_that_always_repeats_is_taken_without_the_repetition() {
    let mut dumps = 0;
    let mut client = client(|asked, _| match asked {
        0 => family(),
        _ => {
            dumps += 1;
            vec![service(1), service(1), done()]
        }
    })
    .unwrap();
    let attempts = client.0.connection.limits().attempts;
    assert_eq!(client.services(), Ok(vec![server(1)]));
    drop(client);
    assert_eq!(dumps, attempts);
}

#[test]
fn a_service_that_goes_while_the_table_is_read_is_left_out() {
    // Dumps of destinations come empty; of the two services only the second is still there.
    let mut client = client(|asked, request| match (asked, request[0]) {
        (0, _) => family(),
        (1, _) => vec![service(1), service(2), done()],
        (_, crate::uapi::IPVS_CMD_GET_DEST) => vec![done()],
        (4, _) => vec![error(errno::ESRCH)],
        _ => vec![service(2), error(0)],
    })
    .unwrap();
    let table = client.table().unwrap();
    let ids: Vec<_> = table.iter().map(|entry| entry.server.id).collect();
    assert_eq!(ids, [id(2)]);
}

#[test]
fn numbers_mean_what_the_request_makes_of_them() {
    let config = VirtualServerConfig::new(Scheduler::MH);
    let missing = Reason::ModuleMissing {
        scheduler: Scheduler::MH,
        engine: None,
    };
    for (request, code, expected) in [
        (
            Request::NewService { id: id(7), config },
            errno::ENOENT,
            missing,
        ),
        (Request::GetInfo, errno::ENOENT, Reason::Unloaded),
        (
            Request::DeleteService { id: id(7) },
            errno::ESRCH,
            Reason::NoSuchService,
        ),
        (Request::Flush, errno::EPERM, Reason::NotPermitted),
        (
            Request::NewService { id: id(7), config },
            errno::EAFNOSUPPORT,
            Reason::FamilyUnsupported,
        ),
        (Request::Flush, errno::ENOPROTOOPT, Reason::NamespaceGone),
        (Request::Flush, errno::ENOMEM, Reason::Other),
    ] {
        let mut client = client(|asked, _| match asked {
            0 => family(),
            _ => vec![error(code)],
        })
        .unwrap();
        let (named, reason, text) = refusal(client.request(&request).unwrap_err());
        assert_eq!((named, reason), (request, expected));
        assert!(
            text.starts_with(&format!("cannot {request}: {expected} (")),
            "{text}"
        );
    }
}

#[test]
fn a_reply_that_cannot_be_read_is_an_error() {
    let broken = || {
        let (kind, flags, mut payload) = service(1);
        payload.truncate(20);
        (kind, flags, payload)
    };
    let mut client = client(|asked, _| match asked {
        0 => family(),
        1 => vec![service(1), broken(), done()],
        2 => vec![(FAMILY, 0, vec![1]), error(0)],
        _ => vec![service(1), error(0)],
    })
    .unwrap();
    let text = |error: Error| error.to_string();
    assert_eq!(
        client.services().map_err(text),
        Err("cannot read the kernel's message: IPVS_CMD_ATTR_SERVICE: the stated length is 180 bytes, 16 are left".to_owned())
    );
    assert_eq!(
        client.info().map_err(text),
        Err("cannot read the kernel's message: struct genlmsghdr: the stated length is 4 bytes, 1 are left".to_owned())
    );
    assert_eq!(
        client.timeouts().map_err(text),
        Err(
            "cannot read the kernel's message: IPVS_CMD_*: the value is not the reply to this request".to_owned()
        )
    );
}
