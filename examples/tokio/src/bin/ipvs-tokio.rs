//! The messages of `ipvs-netlink` without its client: over `genetlink`, in a program that runs on tokio.
//! Prints the virtual servers as `ipvsadm -Sn` does.
//!
//! `genetlink` 0.3 is the release made for the same `netlink-packet-core` (0.9) as our messages; an older one
//! would not know their traits. Needs root and a kernel with IPVS.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use futures_util::StreamExt;
use genetlink::{GenetlinkError, GenetlinkHandle};
use ipvs_netlink::{Message, Reply, Request, SaveLine, VirtualServerId};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_generic::GenlMessage;

/// List virtual servers and destinations as save lines, on tokio.
///
/// Exit status: 0; 2 if they cannot be read, or the command line is wrong.
#[derive(Parser)]
#[command(name = "ipvs-tokio", version, max_term_width = 100)]
struct Args {}

fn main() -> ExitCode {
    let Args {} = Args::parse();
    examples_tokio::run("ipvs-tokio", list)
}

async fn list(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let (connection, mut handle, _) = genetlink::new_connection()?;
    tokio::spawn(connection);

    for reply in dump(&mut handle, Request::GetServices).await? {
        let Reply::Service(server) = reply else {
            continue;
        };
        let (id, config) = (server.id, server.config);
        writeln!(out, "{}", SaveLine::AddService { id, config })?;
        destinations(&mut handle, id, out).await?;
    }
    Ok(())
}

async fn destinations(
    handle: &mut GenetlinkHandle,
    service: VirtualServerId,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    for reply in dump(handle, Request::GetDestinations { service }).await? {
        if let Reply::Destination(status) = reply {
            let destination = status.destination;
            writeln!(
                out,
                "{}",
                SaveLine::AddDestination {
                    service,
                    destination
                }
            )?;
        }
    }
    Ok(())
}

/// Everything that the kernel answers.
async fn dump(
    handle: &mut GenetlinkHandle,
    request: Request,
) -> Result<Vec<Reply>, Box<dyn Error>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let payload = GenlMessage::from_payload(Message::Request(request));
    let message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
    let mut stream = handle.request(message).await.map_err(|error| match error {
        GenetlinkError::NetlinkError(error) => format!("looking up IPVS: {error}"),
        error => error.to_string(),
    })?;
    let mut replies = Vec::new();
    while let Some(message) = stream.next().await {
        match message?.payload {
            NetlinkPayload::InnerMessage(message) => {
                if let Message::Reply(reply) = message.payload {
                    replies.push(reply);
                }
            }
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(format!("{request}: {}", error.to_io()).into());
            }
            _ => {}
        }
    }
    Ok(replies)
}
