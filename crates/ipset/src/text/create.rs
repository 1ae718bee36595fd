//! `create` lines from text.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::model::parse_mark;
use crate::text::words::{once, option_name};
use crate::text::{Command, Words, parse_entry};
use crate::{
    Addresses, BitmapRange, CreateOptions, Entry, Error, Family, Method, PortRange, SetName,
    SetSpec, SetType,
};

impl SetSpec {
    /// Parses the `create` line of `ipset save`, or one for `ipset restore`.
    ///
    /// Old spellings are read as ipset 7 reads them: `-N`, `new`, `--hashsize`, `iphash`, `from … to …`.
    /// What ipset 7 ignores (`probes`, `resize`, `gc`) is ignored.
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::Missing`] and those of [`validate`](Self::validate).
    pub fn parse(line: &str) -> Result<Self, Error> {
        let mut words = Words::new(line.as_bytes());
        let command = words.require("`create`")?;
        if Command::of(&command) != Some(Command::Create) {
            return Err(Error::token(
                "the command of a `create` line",
                String::from_utf8_lossy(&command),
                "such a line starts with `create`",
            ));
        }
        parse_create(&mut words)
    }

    /// Parses an entry of this set, as `ipset save` prints it behind the set's name.
    ///
    /// This checks the text alone. [`check`](Self::check) checks whether the set can hold the entry.
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::Missing`], [`Error::InvalidSetName`] and
    /// [`Error::InvalidInterfaceName`] for text that cannot be read, [`Error::UnknownSetType`] for a
    /// type that this crate does not know.
    pub fn parse_entry(&self, text: impl AsRef<[u8]>) -> Result<Entry, Error> {
        parse_entry(&self.set_type, &mut Words::new(text.as_ref()))
    }
}

impl FromStr for SetSpec {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        Self::parse(line)
    }
}

/// Parses what follows the word `create`.
pub(crate) fn parse_create(words: &mut Words<'_>) -> Result<SetSpec, Error> {
    let name = SetName::new(&words.text("the name of a set")?)?;
    let set_type = set_type(&words.text("the type of a set")?)?;
    let mut create = Create::new(set_type);
    while let Some(word) = words.next()? {
        create.option(&word, words)?;
    }
    let family = create.family.or_else(|| set_type.default_family());
    let mut spec = SetSpec::new(name, set_type, family);
    spec.options = create.options()?;
    spec.validate()?;
    Ok(spec)
}

/// The type of a set by its name, also by the name that it had before ipset 6.
fn set_type(name: &str) -> Result<SetType, Error> {
    let hint = match name {
        "ipmap" => return Ok(SetType::BITMAP_IP),
        "macipmap" => return Ok(SetType::BITMAP_IP_MAC),
        "portmap" => return Ok(SetType::BITMAP_PORT),
        "iphash" => return Ok(SetType::HASH_IP),
        "nethash" => return Ok(SetType::HASH_NET),
        "ipporthash" => return Ok(SetType::HASH_IP_PORT),
        "ipportiphash" => return Ok(SetType::HASH_IP_PORT_IP),
        "ipportnethash" => return Ok(SetType::HASH_IP_PORT_NET),
        "ipmachash" => return Ok(SetType::HASH_IP_MAC),
        "ipmarkhash" => return Ok(SetType::HASH_IP_MARK),
        "machash" => return Ok(SetType::HASH_MAC),
        "netnethash" => return Ok(SetType::HASH_NET_NET),
        "netporthash" => return Ok(SetType::HASH_NET_PORT),
        "netportnethash" => return Ok(SetType::HASH_NET_PORT_NET),
        "netifacehash" => return Ok(SetType::HASH_NET_IFACE),
        "setlist" => return Ok(SetType::LIST_SET),
        "iptree" => "ipset 6 removed it: use `hash:ip`, with `timeout` where the set had one",
        "iptreemap" => "ipset 6 removed it: use `hash:ip`, or `hash:net` for networks",
        _ => {
            let set_type = SetType::new(name)?;
            let lower = SetType::new(&name.to_ascii_lowercase())?;
            if set_type == lower || lower.method().is_none() {
                return Ok(set_type);
            }
            "write it in lower case"
        }
    };
    Err(Error::token("a set type", name, hint))
}

/// The options of a `create` line as far as they have been read.
struct Create {
    set_type: SetType,
    family: Option<Family>,
    options: CreateOptions,
    from: Option<String>,
    to: Option<String>,
}

impl Create {
    fn new(set_type: SetType) -> Self {
        Self {
            set_type,
            family: None,
            options: CreateOptions::default(),
            from: None,
            to: None,
        }
    }

    fn option(&mut self, word: &[u8], words: &mut Words<'_>) -> Result<(), Error> {
        let has_bounds = self.has_bounds();
        let options = &mut self.options;
        match option_name(word) {
            b"family" => once(&mut self.family, word, family(&words.text("a family")?)?)?,
            b"-4" => once(&mut self.family, word, Family::V4)?,
            b"-6" => once(&mut self.family, word, Family::V6)?,
            b"range" | b"network" if self.set_type.method() == Some(Method::Bitmap) => {
                let range = range(self.set_type, &words.text("a range")?)?;
                once(&mut options.range, word, range)?;
            }
            b"from" if has_bounds => {
                let first = words.text("the start of a range")?.into_owned();
                once(&mut self.from, word, first)?;
            }
            b"to" if has_bounds => {
                let last = words.text("the end of a range")?.into_owned();
                once(&mut self.to, word, last)?;
            }
            b"network" if has_bounds => _ = words.text("a network")?,
            b"hashsize" => {
                once(
                    &mut options.hashsize,
                    word,
                    words.number("a number of buckets")?,
                )?;
            }
            b"maxelem" => {
                once(
                    &mut options.maxelem,
                    word,
                    words.number("a number of elements")?,
                )?;
            }
            b"netmask" => once(&mut options.netmask, word, words.number("a prefix length")?)?,
            b"bitmask" => {
                let mask = words.text("a mask")?;
                let mask: IpAddr = mask.parse().map_err(|_| {
                    Error::token("a mask", &mask, "write it as an address: 255.255.0.255")
                })?;
                once(&mut options.bitmask, word, mask)?;
            }
            b"markmask" => {
                once(
                    &mut options.markmask,
                    word,
                    parse_mark(&words.text("a mask")?)?,
                )?;
            }
            b"size" => once(
                &mut options.size,
                word,
                words.number("a number of members")?,
            )?,
            b"timeout" => {
                once(
                    &mut options.timeout,
                    word,
                    words.number("a timeout in seconds")?,
                )?;
            }
            b"counters" => options.counters = true,
            b"comment" => options.comment = true,
            b"forceadd" => options.forceadd = true,
            b"skbinfo" => options.skbinfo = true,
            b"bucketsize" => {
                once(
                    &mut options.bucketsize,
                    word,
                    words.number("a number of entries")?,
                )?;
            }
            b"initval" => once(&mut options.initval, word, words.number("a seed")?)?,
            b"probes" | b"resize" | b"gc" if self.set_type.method() == Some(Method::Hash) => {
                words.require("a number")?;
            }
            _ => {
                return Err(Error::token(
                    "an option of a set of this type",
                    String::from_utf8_lossy(word),
                    "see ipset(8) for the options of each type",
                ));
            }
        }
        Ok(())
    }

    /// Whether the type takes `from`, `to` and `network`: bitmaps, and three types for which ipset 7
    /// ignores them.
    fn has_bounds(&self) -> bool {
        self.set_type.method() == Some(Method::Bitmap) || self.ignores_bounds()
    }

    fn ignores_bounds(&self) -> bool {
        [
            SetType::HASH_IP_PORT,
            SetType::HASH_IP_PORT_IP,
            SetType::HASH_IP_PORT_NET,
        ]
        .contains(&self.set_type)
    }

    /// The options, with the values that the kernel takes where none are given and `ipset save` always
    /// prints.
    fn options(self) -> Result<CreateOptions, Error> {
        let ignored = self.ignores_bounds();
        let Self {
            set_type,
            mut options,
            from,
            to,
            ..
        } = self;
        match (from, to) {
            (None, None) => {}
            _ if ignored => {}
            (Some(first), Some(last)) => {
                once(
                    &mut options.range,
                    b"range",
                    bounds(set_type, &first, &last)?,
                )?;
            }
            (Some(_), None) => return Err(Error::Missing { expected: "`to`" }),
            (None, Some(_)) => return Err(Error::Missing { expected: "`from`" }),
        }
        match set_type.method() {
            Some(Method::Hash) => {
                options.hashsize.get_or_insert(SetSpec::DEFAULT_HASHSIZE);
                options.maxelem.get_or_insert(SetSpec::DEFAULT_MAXELEM);
            }
            Some(Method::List) => {
                options.size.get_or_insert(SetSpec::DEFAULT_LIST_SIZE);
            }
            _ => {}
        }
        if set_type == SetType::HASH_IP_MARK {
            options.markmask.get_or_insert(u32::MAX);
        }
        Ok(options)
    }
}

fn family(name: &str) -> Result<Family, Error> {
    match name {
        "inet" | "ipv4" | "-4" => Ok(Family::V4),
        "inet6" | "ipv6" | "-6" => Ok(Family::V6),
        _ => Err(Error::token("a family", name, "write `inet` or `inet6`")),
    }
}

/// What a bitmap spans: `FROM-TO`, or a network.
fn range(set_type: SetType, text: &str) -> Result<BitmapRange, Error> {
    if set_type == SetType::BITMAP_PORT {
        return PortRange::parse_with_protocol(text).map(BitmapRange::Ports);
    }
    let addresses = Addresses::parse(text)?;
    match (addresses.first(), addresses.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ok(BitmapRange::Addresses(first, last)),
        _ => Err(Error::token(
            "a range",
            text,
            "a bitmap spans IPv4 addresses",
        )),
    }
}

/// What a bitmap spans, given as `from` and `to`.
fn bounds(set_type: SetType, first: &str, last: &str) -> Result<BitmapRange, Error> {
    if set_type == SetType::BITMAP_PORT {
        let port = |text: &str| {
            let range = PortRange::parse_with_protocol(text)?;
            let single = range.first() == range.last();
            single.then_some(range.first()).ok_or_else(|| {
                Error::token("a port", text, "give one port to `from` and one to `to`")
            })
        };
        return Ok(BitmapRange::Ports(PortRange::new(
            port(first)?,
            port(last)?,
        )));
    }
    let address = |text: &str| -> Result<Ipv4Addr, Error> {
        match Addresses::parse(text)?.as_ip() {
            Some(IpAddr::V4(address)) => Ok(address),
            _ => Err(Error::token(
                "an IPv4 address",
                text,
                "give one address to `from` and one to `to`",
            )),
        }
    };
    let (first, last) = (address(first)?, address(last)?);
    Ok(BitmapRange::Addresses(first.min(last), first.max(last)))
}
