//! Connections and requests, counted by the clock.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::network::{Network, TARGET};

/// So many each time; before it so many that are not counted.
const CONNECTIONS: usize = 400;
const REQUESTS: usize = 1_000;
const WARM_UP: usize = 50;

/// About those of a small request over HTTP/1.1.
const REQUEST: [u8; 100] = [b'?'; 100];
const RESPONSE: [u8; 200] = [b'!'; 200];

/// What one takes.
pub(crate) struct Costs {
    /// A connection opened and closed: all packets of both sides, and the calls of the two programs.
    pub(crate) connection: Duration,
    /// A request and its response over a connection that stays.
    pub(crate) request: Duration,
}

/// Measures them from the client to an address.
pub(crate) fn measure(network: &Network, to: SocketAddr) -> Costs {
    let (server, closed) = serve(network);
    let costs = network.client.run(move || {
        let open = |count: usize| {
            for _ in 0..count {
                drop(TcpStream::connect(to).unwrap_or_else(|error| panic!("{to}: {error}")));
            }
            // The server has seen the end of all of them.
            closed.iter().take(count).for_each(drop);
        };
        open(WARM_UP);
        let connection = timed(CONNECTIONS, open);
        let mut stream = TcpStream::connect(to).expect("a connection");
        let mut ask = |count: usize| {
            let mut response = RESPONSE;
            for _ in 0..count {
                stream.write_all(&REQUEST).expect("a request is sent");
                stream.read_exact(&mut response).expect("a response comes");
            }
        };
        ask(WARM_UP);
        let request = timed(REQUESTS, ask);
        Costs {
            connection,
            request,
        }
    });
    network.server.run(|| {
        // One more, for the server to end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, TARGET)));
    });
    server.join().expect("the server ends");
    costs
}

fn timed(count: usize, work: impl FnOnce(usize)) -> Duration {
    let start = Instant::now();
    work(count);
    start.elapsed() / u32::try_from(count).expect("not that many")
}

/// A server for one connection after the other, which ends with the first that comes from its own namespace; it reports
/// each connection that was closed.
fn serve(network: &Network) -> (JoinHandle<()>, Receiver<()>) {
    let (closed, reports) = channel();
    let listener = network
        .server
        .run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, TARGET)).expect("a port"));
    let server = network.server.spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            if stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) {
                return;
            }
            let mut request = REQUEST;
            while stream.read_exact(&mut request).is_ok() {
                stream.write_all(&RESPONSE).expect("a response is sent");
            }
            drop(stream);
            let _ = closed.send(());
        }
    });
    (server, reports)
}
