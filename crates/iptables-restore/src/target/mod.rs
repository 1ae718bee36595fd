//! Targets: the `-j` and `-g` parts of a rule.

mod ct;
mod log;
mod mark;
mod nat;
mod nat_range;
mod tproxy;

use std::fmt;

pub use ct::{Ct, CtDirection, CtEvents, CtZone};
pub use log::{Log, Nflog};
pub use mark::{Connmark, Mark};
pub use nat::{Dnat, Masquerade, Redirect, Snat};
pub use nat_range::NatRange;
pub use tproxy::Tproxy;

use crate::matches::Options;
use crate::word::{OptionWalk, Word};

/// What is done with a packet that a rule matches. Prints as `iptables-save` does.
///
/// `Target::from("NAME")` is a built-in verdict, an extension without options, or else a jump to a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// `-j ACCEPT`
    Accept,
    /// `-j DROP`
    Drop,
    /// `-j RETURN`: back to the calling chain, or on to the policy.
    Return,
    /// `-j REJECT --reject-with …`
    Reject {
        /// The ICMP type, `icmp-port-unreachable` for one. `None` leaves it to iptables, which prints one when asked.
        with: Option<String>,
    },
    /// `-j DNAT --to-destination ADDRESS:PORT`
    Dnat(Dnat),
    /// `-j SNAT --to-source ADDRESS`
    Snat(Snat),
    /// `-j REDIRECT --to-ports PORT`
    Redirect(Redirect),
    /// `-j MASQUERADE`
    Masquerade(Masquerade),
    /// `-j MARK --set-xmark VALUE/MASK`
    Mark(Mark),
    /// `-j CONNMARK --set-xmark VALUE/MASK`, `--save-mark`, `--restore-mark`
    Connmark(Connmark),
    /// `-j LOG --log-prefix TEXT …`
    Log(Log),
    /// `-j NFLOG --nflog-group NUMBER …`
    Nflog(Nflog),
    /// `-j TPROXY --on-port PORT …`
    Tproxy(Tproxy),
    /// `-j CT --notrack`, `--zone ID` …
    Ct(Ct),
    /// `-j CHAIN`: through that chain and back.
    Jump(String),
    /// `-g CHAIN`: through that chain and not back.
    Goto(String),
    /// Any other target, or other options of those above.
    Other(OtherTarget),
}

/// A target that is kept word by word. [`Target::new`] makes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OtherTarget {
    name: String,
    options: Vec<Word>,
    goto: bool,
}

impl OtherTarget {
    /// Name of the target, without `-j`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its options and their values.
    pub fn options(&self) -> &[Word] {
        &self.options
    }
}

impl Target {
    /// A target by name and options, typed where this crate has a type for it.
    ///
    /// ```
    /// use iptables_restore::{Target, Word};
    /// let log = Target::new("LOG", [Word::from("--log-prefix"), Word::quoted("dropped: ")]);
    /// assert_eq!(log.to_string(), "-j LOG --log-prefix \"dropped: \"");
    /// assert!(matches!(log, Target::Log(_)));
    /// let rare = Target::new("TTL", ["--ttl-set", "64"].map(Word::from));
    /// assert_eq!(rare.to_string(), "-j TTL --ttl-set 64");
    /// ```
    pub fn new(name: impl Into<String>, options: impl IntoIterator<Item = Word>) -> Self {
        let name = name.into();
        let is_chain = !is_extension(&name);
        let options = OptionWalk::settle(&name, is_chain, options.into_iter().collect());
        match Self::typed(&name, &options) {
            Some(target) => target,
            None if options.is_empty() && !EXTENSIONS.contains(&name.as_str()) => Self::Jump(name),
            None => Self::Other(OtherTarget {
                name,
                options,
                goto: false,
            }),
        }
    }

    /// `-g NAME`
    pub(crate) fn goto(name: String, options: Vec<Word>) -> Self {
        let options = OptionWalk::settle(&name, true, options);
        if options.is_empty() {
            Self::Goto(name)
        } else {
            Self::Other(OtherTarget {
                name,
                options,
                goto: true,
            })
        }
    }

    /// `-j REJECT --reject-with TYPE`
    pub fn reject(with: impl Into<String>) -> Self {
        Self::Reject {
            with: Some(with.into()),
        }
    }

    /// The chain a rule with this target refers to, which must exist before the rule does.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }

    /// What stands behind `-j` or `-g`: the name of a verdict, an extension or a chain.
    pub fn name(&self) -> &str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
            Self::Return => "RETURN",
            Self::Reject { .. } => "REJECT",
            Self::Dnat(_) => "DNAT",
            Self::Snat(_) => "SNAT",
            Self::Redirect(_) => "REDIRECT",
            Self::Masquerade(_) => "MASQUERADE",
            Self::Mark(_) => "MARK",
            Self::Connmark(_) => "CONNMARK",
            Self::Log(_) => "LOG",
            Self::Nflog(_) => "NFLOG",
            Self::Tproxy(_) => "TPROXY",
            Self::Ct(_) => "CT",
            Self::Jump(chain) | Self::Goto(chain) => chain,
            Self::Other(other) => &other.name,
        }
    }

    /// The target as rules are compared: the type that `-j REJECT` stands for, of either family, equals none.
    pub(crate) fn key(&self) -> &Self {
        const DEFAULT: &Target = &Target::Reject { with: None };
        match self {
            Self::Reject { with: Some(with) }
                if ["icmp-port-unreachable", "icmp6-port-unreachable"].contains(&&**with) =>
            {
                DEFAULT
            }
            other => other,
        }
    }

    fn typed(name: &str, words: &[Word]) -> Option<Self> {
        let mut options = Options::new(words);
        let target = match name {
            "ACCEPT" => Self::Accept,
            "DROP" => Self::Drop,
            "RETURN" => Self::Return,
            "REJECT" if options.is_empty() => Self::Reject { with: None },
            "REJECT" => {
                let (false, "--reject-with") = options.next_option()? else {
                    return None;
                };
                let with = options.value()?;
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                (with.bytes().all(plain) && !with.is_empty() && !with.starts_with('-'))
                    .then_some(())?;
                Self::reject(with)
            }
            "DNAT" => Self::Dnat(Dnat::parse(&mut options)?),
            "SNAT" => Self::Snat(Snat::parse(&mut options)?),
            "REDIRECT" => Self::Redirect(Redirect::parse(&mut options)?),
            "MASQUERADE" => Self::Masquerade(Masquerade::parse(&mut options)?),
            "MARK" => Self::Mark(Mark::parse(&mut options)?),
            "CONNMARK" => Self::Connmark(Connmark::parse(&mut options)?),
            "LOG" => Self::Log(Log::parse(&mut options)?),
            "NFLOG" => Self::Nflog(Nflog::parse(&mut options)?),
            "TPROXY" => Self::Tproxy(Tproxy::parse(&mut options)?),
            "CT" => Self::Ct(Ct::parse(&mut options)?),
            _ => return None,
        };
        options.finish()?;
        Some(target)
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self::new(name, [])
    }
}

impl From<&crate::ChainName> for Target {
    fn from(name: &crate::ChainName) -> Self {
        Self::Jump(name.as_str().to_owned())
    }
}

macro_rules! from_target {
    ($($type:ident),*) => {$(
        impl From<$type> for Target {
            fn from(value: $type) -> Self {
                Self::$type(value)
            }
        }
    )*};
}
from_target!(
    Dnat, Snat, Redirect, Masquerade, Mark, Connmark, Log, Nflog, Tproxy, Ct
);

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goto = matches!(
            self,
            Self::Goto(_) | Self::Other(OtherTarget { goto: true, .. })
        );
        write!(f, "{} {}", if goto { "-g" } else { "-j" }, self.name())?;
        match self {
            Self::Accept
            | Self::Drop
            | Self::Return
            | Self::Reject { with: None }
            | Self::Jump(_)
            | Self::Goto(_) => Ok(()),
            Self::Reject { with: Some(with) } => write!(f, " --reject-with {with}"),
            Self::Dnat(dnat) => dnat.write(f),
            Self::Snat(snat) => snat.write(f),
            Self::Redirect(redirect) => redirect.write(f),
            Self::Masquerade(masquerade) => masquerade.write(f),
            Self::Mark(mark) => write!(f, " --set-xmark {mark}"),
            Self::Connmark(connmark) => connmark.write(f),
            Self::Log(log) => log.write(f),
            Self::Nflog(nflog) => nflog.write(f),
            Self::Tproxy(tproxy) => tproxy.write(f),
            Self::Ct(ct) => ct.write(f),
            Self::Other(other) => other
                .options
                .iter()
                .try_for_each(|word| write!(f, " {word}")),
        }
    }
}

/// True for the name of a verdict or an extension; any other name is that of a chain.
pub(crate) fn is_extension(name: &str) -> bool {
    EXTENSIONS.contains(&name) || ["ACCEPT", "DROP", "RETURN"].contains(&name)
}

/// Extensions that do something without options, so that their names alone are not jumps to chains
/// (iptables-extensions(8), "TARGET EXTENSIONS").
const EXTENSIONS: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DNAT",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NETMAP",
    "NFLOG",
    "NFQUEUE",
    "NOTRACK",
    "QUEUE",
    "RATEEST",
    "REDIRECT",
    "REJECT",
    "SECMARK",
    "SET",
    "SNAT",
    "SNPT",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TPROXY",
    "TRACE",
    "TTL",
    "ULOG",
];

#[cfg(test)]
mod tests;
