//! What is asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use ipvs_netlink::{Protocol, VirtualServerId};

use crate::cluster::{ObjectName, ServicePort};
use crate::layout::nftables::AddressPort;

/// A question about a Service or an address: what [`explain`](super::explain) answers.
///
/// ```
/// use proxier::explain::Question;
///
/// for text in ["10.0.0.10:53/udp", "[fd00::1]:53/tcp", "kube-system/kube-dns", "default/web:http"] {
///     assert_eq!(text.parse::<Question>().unwrap().to_string(), text);
/// }
/// assert!("10.0.0.10".parse::<Question>().unwrap_err().to_string().contains("port"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Question {
    /// What it is about.
    pub target: Target,
    /// The client whose traffic it is about; `None` for pods, the node itself and clients outside alike.
    pub client: Option<IpAddr>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A port of an address: a Service's, or one of the node's with a node port.
    Address(AddressPort),
    /// A Service, and one of its ports by name or number; `None` for all of them.
    Service(ObjectName, Option<Box<str>>),
}

/// Why a text is not a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// It is neither an address with a port nor the name of a Service.
    #[error(
        "{0:?} is neither an address with a port (10.0.0.10:53/udp, [fd00::1]:53) nor a Service (namespace/name or \
         namespace/name:port)"
    )]
    Unknown(Box<str>),
    /// It is an address without a port.
    #[error("{0} has no port; write {example}", example = example(.0))]
    NoPort(IpAddr),
    /// The protocol is not one that Services have.
    #[error("{0:?} is not a protocol of Services; write tcp, udp or sctp")]
    Protocol(Box<str>),
    /// It is a name without a namespace.
    #[error("{0:?} has no namespace; write default/{0}, or another namespace")]
    NoNamespace(Box<str>),
}

fn example(address: &IpAddr) -> SocketAddr {
    SocketAddr::new(*address, 53)
}

impl Question {
    /// A question about traffic of every origin.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            client: None,
        }
    }

    /// The same about the traffic of one client.
    #[must_use]
    pub const fn from_client(mut self, client: IpAddr) -> Self {
        self.client = Some(client);
        self
    }
}

impl Target {
    /// Whether a port of the Service that it names is meant.
    pub(super) fn names(&self, port: &ServicePort) -> bool {
        match self {
            Self::Service(_, Some(wanted)) => {
                *port.name == **wanted || port.port.to_string() == **wanted
            }
            Self::Service(_, None) => true,
            Self::Address(_) => false,
        }
    }
}

impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Self, QuestionError> {
        let text = text.trim();
        let (head, rest) = match text.split_once('/') {
            Some((head, rest)) => (head, Some(rest)),
            None => (text, None),
        };
        if let Ok(address) = head.trim_matches(['[', ']']).parse() {
            return Err(QuestionError::NoPort(address));
        }
        if head.contains(':') {
            return address(text, head, rest).map(Self::new);
        }
        service(text, head, rest).map(Self::new)
    }
}

/// How much of a text an error shows, in characters.
const SHOWN: usize = 100;

fn shown(text: &str) -> Box<str> {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.into()
}

fn address(text: &str, at: &str, protocol: Option<&str>) -> Result<Target, QuestionError> {
    let unknown = || QuestionError::Unknown(shown(text));
    let at: SocketAddr = at.parse().map_err(|_| unknown())?;
    let port = NonZeroU16::new(at.port()).ok_or_else(unknown)?;
    let word = protocol.unwrap_or("tcp");
    let Ok(protocol @ (Protocol::TCP | Protocol::UDP | Protocol::SCTP)) = word.parse() else {
        return Err(QuestionError::Protocol(shown(word)));
    };
    Ok(Target::Address(AddressPort {
        address: at.ip().to_canonical(),
        protocol,
        port: port.get(),
    }))
}

fn service(text: &str, namespace: &str, rest: Option<&str>) -> Result<Target, QuestionError> {
    let (name, port) = match rest.map(|rest| rest.split_once(':')) {
        Some(Some((name, port))) => (name, Some(port)),
        Some(None) => (rest.unwrap_or_default(), None),
        None if is_name(namespace) => return Err(QuestionError::NoNamespace(shown(text))),
        None => ("", None),
    };
    if !is_name(namespace) || !is_name(name) || !port.is_none_or(is_name) {
        return Err(QuestionError::Unknown(shown(text)));
    }
    let name = ObjectName::new(namespace, name);
    Ok(Target::Service(name, port.map(Into::into)))
}

/// Whether Kubernetes could have an object, or a port, of this name.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(allowed)
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)?;
        match self.client {
            Some(client) => write!(f, " from {client}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(at) => At(at.server()).fmt(f),
            Self::Service(name, None) => name.fmt(f),
            Self::Service(name, Some(port)) => write!(f, "{name}:{port}"),
        }
    }
}

/// A virtual server as people write it: `10.0.0.10:53/udp`.
pub(super) struct At(pub(super) VirtualServerId);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            VirtualServerId::Address {
                protocol,
                address,
                port,
            } => write!(f, "{}/{protocol}", SocketAddr::new(address, port)),
            VirtualServerId::FirewallMark { mark, .. } => write!(f, "firewall mark {mark:#x}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("10.0.0.10:53/udp", "10.0.0.10:53/udp"),
            ("10.0.0.10:53", "10.0.0.10:53/tcp"),
            (" 10.0.0.10:53/UDP\n", "10.0.0.10:53/udp"),
            ("[fd00::1]:53/udp", "[fd00::1]:53/udp"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80/tcp"),
            ("192.168.10.10:9999/sctp", "192.168.10.10:9999/sctp"),
            ("default/web", "default/web"),
            ("default/web:http", "default/web:http"),
            ("default/web:80", "default/web:80"),
        ] {
            let question: Question = text.parse().unwrap();
            assert_eq!(question.to_string(), shown);
            assert_eq!(shown.parse::<Question>().unwrap(), question);
        }
    }

    #[test]
    fn what_is_not_a_question_gets_an_error_that_says_what_to_write() {
        for (text, error) in [
            ("", "neither"),
            ("/", "neither"),
            ("10.0.0.10", "10.0.0.10 has no port; write 10.0.0.10:53"),
            ("10.0.0.10/udp", "10.0.0.10 has no port"),
            ("fd00::1", "fd00::1 has no port; write [fd00::1]:53"),
            ("[fd00::1]", "has no port"),
            ("10.0.0.10:0", "neither"),
            ("10.0.0.10:65536", "neither"),
            (
                "10.0.0.10:53/icmp",
                "\"icmp\" is not a protocol of Services",
            ),
            ("10.0.0.10:53/", "\"\" is not a protocol"),
            ("web", "\"web\" has no namespace; write default/web"),
            ("web:http", "neither"),
            ("default/", "neither"),
            ("default/web/http", "neither"),
            ("default/web:", "neither"),
            ("default/Web", "neither"),
            ("a\u{1b}[31m/b", "\\u{1b}"),
        ] {
            let found = text.parse::<Question>().unwrap_err().to_string();
            assert!(found.contains(error), "{text:?}: {found}");
            assert!(!found.contains('\u{1b}'));
        }
        let long = "x".repeat(10_000).parse::<Question>().unwrap_err();
        assert!(long.to_string().len() < 400);
    }
}
