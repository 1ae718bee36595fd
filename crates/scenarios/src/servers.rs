//! Servers that answer with their name and the address of the client.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use kernel_test::Netns;

/// What makes a TCP server close a connection.
pub const BYE: &str = "bye";

/// Serves TCP and UDP on a port of all addresses of a namespace, of both families. It listens when this
/// returns, and ends with the process.
///
/// Each answer is `NAME PEER`. TCP gives it at once, and then sends back every line.
pub fn serve(netns: &Netns, name: &'static str, port: u16) {
    serve_at(netns, name, (Ipv6Addr::UNSPECIFIED, port).into());
}

/// The same at one address: answers of UDP come from there.
pub fn serve_at(netns: &Netns, name: &'static str, at: SocketAddr) {
    let (tcp, udp) = netns.run(|| (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap()));
    thread::spawn(move || {
        for stream in tcp.incoming() {
            // What becomes of a connection is for its client to judge.
            thread::spawn(move || converse(&stream?, name));
        }
    });
    thread::spawn(move || {
        let mut question = [0; 64];
        loop {
            // An error may be about an earlier answer, which a client did not wait for.
            if let Ok((_, peer)) = udp.recv_from(&mut question) {
                let answer = format!("{name} {}", peer.ip().to_canonical());
                let _ = udp.send_to(answer.as_bytes(), peer);
            }
        }
    });
}

/// How long a connection may be silent: on an emulated and busy machine a daemon takes more than a minute to start.
const SILENCE: Duration = Duration::from_secs(1800);

fn converse(mut stream: &TcpStream, name: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let peer = stream.peer_addr()?.ip().to_canonical();
    writeln!(stream, "{name} {peer}")?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line == BYE {
            break;
        }
        writeln!(stream, "{line}")?;
    }
    Ok(())
}
