//! The state of a flow in the eyes of its protocol.

use std::fmt;

/// The state of a flow whose protocol has one.
///
/// Displays as `conntrack` prints it: `ESTABLISHED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ProtocolState {
    /// TCP.
    Tcp(TcpState),
    /// SCTP.
    Sctp(SctpState),
}

impl fmt::Display for ProtocolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(state) => state.fmt(f),
            Self::Sctp(state) => state.fmt(f),
        }
    }
}

/// Makes a state of its number, with names.
macro_rules! states {
    (
        $(#[$meta:meta])*
        $type:ident: $($(#[$doc:meta])* $name:ident = $number:literal)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $type(pub u8);

        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Its name in the output of `conntrack`; `None` for a number that has none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => fmt::Display::fmt(&self.0, f),
                }
            }
        }
    };
}

states! {
    /// The state of a TCP connection: `enum tcp_conntrack` of
    /// [`linux/netfilter/nf_conntrack_tcp.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nf_conntrack_tcp.h).
    TcpState:
    /// Unknown.
    NONE = 0
    /// The client asked for the connection.
    SYN_SENT = 1
    /// The server agreed.
    SYN_RECV = 2
    /// The handshake is complete.
    ESTABLISHED = 3
    /// One side has sent its last data.
    FIN_WAIT = 4
    /// The other side acknowledged that.
    CLOSE_WAIT = 5
    /// Both sides have sent their last data.
    LAST_ACK = 6
    /// Both sides have closed; late packets are still recognised.
    TIME_WAIT = 7
    /// It was reset.
    CLOSE = 8
    /// Both sides asked for the connection at once.
    SYN_SENT2 = 9
}

states! {
    /// The state of an SCTP association: `enum sctp_conntrack` of
    /// [`linux/netfilter/nf_conntrack_sctp.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nf_conntrack_sctp.h).
    SctpState:
    /// Unknown.
    NONE = 0
    /// There is none, or none any more.
    CLOSED = 1
    /// The client asked for it.
    COOKIE_WAIT = 2
    /// The client returned the server's cookie.
    COOKIE_ECHOED = 3
    /// The handshake is complete.
    ESTABLISHED = 4
    /// The client has shut down.
    SHUTDOWN_SENT = 5
    /// The server has shut down.
    SHUTDOWN_RECD = 6
    /// Both have.
    SHUTDOWN_ACK_SENT = 7
    /// A heartbeat on another path was seen.
    HEARTBEAT_SENT = 8
    /// It was answered (Linux before 6.2).
    HEARTBEAT_ACKED = 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_names_of_conntrack() {
        let state = ProtocolState::Tcp(TcpState::TIME_WAIT);
        assert_eq!(state.to_string(), "TIME_WAIT");
        let state = ProtocolState::Sctp(SctpState(4));
        assert_eq!(state.to_string(), "ESTABLISHED");
        assert_eq!(TcpState(77).to_string(), "77");
    }
}
