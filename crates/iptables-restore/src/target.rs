//! Targets: the `-j` and `-g` parts of a rule.

use std::fmt;

use crate::matches::{Options, PortRange, mark_and_mask, number};
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
    /// `-j MASQUERADE`
    Masquerade(Masquerade),
    /// `-j MARK --set-xmark VALUE/MASK`
    Mark(Mark),
    /// `-j CHAIN`: through that chain and back.
    Jump(String),
    /// `-g CHAIN`: through that chain and not back.
    Goto(String),
    /// Any other target, or other options of those above.
    Other(OtherTarget),
}

/// Options of `MASQUERADE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Masquerade {
    /// `--to-ports`: source ports to choose from.
    pub to_ports: Option<PortRange>,
    /// `--random`: the source port is random.
    pub random: bool,
    /// `--random-fully`: with a better random number. iptables 1.6.2 or later.
    pub random_fully: bool,
}

/// `--set-xmark VALUE/MASK`: clears the bits of the mask, then flips those of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The bits to flip.
    pub value: u32,
    /// The bits to clear first.
    pub mask: u32,
}

impl Mark {
    /// Sets these bits and leaves the others.
    pub fn set(bits: u32) -> Self {
        Self {
            value: bits,
            mask: bits,
        }
    }

    /// Flips these bits.
    pub fn flip(bits: u32) -> Self {
        Self {
            value: bits,
            mask: 0,
        }
    }
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
            "MASQUERADE" => Self::Masquerade(Masquerade::parse(&mut options)?),
            "MARK" => Self::Mark(Mark::parse(&mut options)?),
            _ => return None,
        };
        options.finish()?;
        Some(target)
    }
}

impl Masquerade {
    /// `-j MASQUERADE`
    pub fn new() -> Self {
        Self::default()
    }

    /// `--to-ports`
    #[must_use]
    pub fn to_ports(mut self, ports: PortRange) -> Self {
        self.to_ports = Some(ports);
        self
    }

    /// `--random`
    #[must_use]
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }

    /// `--random-fully`
    #[must_use]
    pub fn random_fully(mut self) -> Self {
        self.random_fully = true;
        self
    }

    fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut masquerade = Self::default();
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--random") => masquerade.random = true,
                (false, "--random-fully") => masquerade.random_fully = true,
                (false, "--to-ports") if masquerade.to_ports.is_none() => {
                    let text = options.value()?;
                    let (first, last) = text.split_once('-').unwrap_or((text, text));
                    masquerade.to_ports = Some(PortRange {
                        first: first.parse().ok()?,
                        last: last.parse().ok()?,
                    });
                }
                _ => return None,
            }
        }
        Some(masquerade)
    }
}

impl Mark {
    /// All five options; the kernel has `--set-xmark` alone.
    fn parse(options: &mut Options<'_>) -> Option<Self> {
        let (false, option) = options.next_option()? else {
            return None;
        };
        let text = options.value()?;
        Some(match option {
            "--set-xmark" => {
                let (value, mask) = mark_and_mask(text)?;
                Self {
                    value,
                    mask: mask.unwrap_or(u32::MAX),
                }
            }
            "--set-mark" => {
                let (value, mask) = mark_and_mask(text)?;
                Self {
                    value,
                    mask: mask.map_or(u32::MAX, |mask| mask | value),
                }
            }
            "--or-mark" => Self::set(number(text)?),
            "--xor-mark" => Self::flip(number(text)?),
            "--and-mark" => Self {
                value: 0,
                mask: !number(text)?,
            },
            _ => return None,
        })
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

impl From<Masquerade> for Target {
    fn from(masquerade: Masquerade) -> Self {
        Self::Masquerade(masquerade)
    }
}

impl From<Mark> for Target {
    fn from(mark: Mark) -> Self {
        Self::Mark(mark)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("-j ACCEPT"),
            Self::Drop => f.write_str("-j DROP"),
            Self::Return => f.write_str("-j RETURN"),
            Self::Reject { with: None } => f.write_str("-j REJECT"),
            Self::Reject { with: Some(with) } => write!(f, "-j REJECT --reject-with {with}"),
            Self::Masquerade(Masquerade {
                to_ports,
                random,
                random_fully,
            }) => {
                f.write_str("-j MASQUERADE")?;
                if let Some(PortRange { first, last }) = to_ports {
                    write!(f, " --to-ports {first}")?;
                    if last != first {
                        write!(f, "-{last}")?;
                    }
                }
                f.write_str(if *random { " --random" } else { "" })?;
                f.write_str(if *random_fully { " --random-fully" } else { "" })
            }
            Self::Mark(Mark { value, mask }) => {
                write!(f, "-j MARK --set-xmark {value:#x}/{mask:#x}")
            }
            Self::Jump(chain) => write!(f, "-j {chain}"),
            Self::Goto(chain) => write!(f, "-g {chain}"),
            Self::Other(OtherTarget {
                name,
                options,
                goto,
            }) => {
                write!(f, "{} {name}", if *goto { "-g" } else { "-j" })?;
                options.iter().try_for_each(|word| write!(f, " {word}"))
            }
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
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        let mut splitter = crate::word::Splitter::default();
        splitter.feed(text);
        let mut words = splitter.into_words().into_iter();
        Target::new(words.next().unwrap().as_str(), words)
    }

    /// Right what `iptables-legacy-save` and `iptables-nft-save` 1.8.9 printed for what is left.
    #[test]
    fn prints_as_captured() {
        for (given, printed) in [
            ("ACCEPT", "-j ACCEPT"),
            (
                "REJECT --reject-with tcp-reset",
                "-j REJECT --reject-with tcp-reset",
            ),
            ("MARK --set-mark 5", "-j MARK --set-xmark 0x5/0xffffffff"),
            ("MARK --or-mark 0x10", "-j MARK --set-xmark 0x10/0x10"),
            ("MARK --and-mark 0x10", "-j MARK --set-xmark 0x0/0xffffffef"),
            ("MARK --xor-mark 0x10", "-j MARK --set-xmark 0x10/0x0"),
            (
                "MASQUERADE --random-fully --to-ports 1024-2048 --random",
                "-j MASQUERADE --to-ports 1024-2048 --random --random-fully",
            ),
            ("NOTRACK", "-j NOTRACK"),
            ("FOO", "-j FOO"),
            (
                "DNAT --to-destination 10.1.1.1:80",
                "-j DNAT --to-destination 10.1.1.1:80",
            ),
            (
                r#"LOG --log-prefix "it\'s a \"drop\": ""#,
                r#"-j LOG --log-prefix "it\'s a \"drop\": ""#,
            ),
        ] {
            assert_eq!(target(given).to_string(), printed);
            assert_eq!(target(printed.strip_prefix("-j ").unwrap()), target(given));
        }
        assert_eq!(Target::from("FOO"), Target::Jump("FOO".to_owned()));
        assert!(matches!(Target::from("LOG"), Target::Other(_)));
        assert_eq!(Target::from("MASQUERADE"), Masquerade::default().into());
    }
}
