//! `create` lines from text.

use std::net::IpAddr;

use crate::model::parse_mark;
use crate::text::{Tokens, parse_entry};
use crate::{
    Addresses, BitmapRange, CreateOptions, Entry, Error, Family, Method, PortRange, SetName,
    SetSpec, SetType,
};

impl SetSpec {
    /// Reads the `create` line of `ipset save` or for `ipset restore`.
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::Missing`] and those of [`validate`](Self::validate).
    pub fn parse(line: &str) -> Result<Self, Error> {
        parse_line(&mut Tokens::new(line))
    }

    /// Reads an entry for this set, as `ipset save` prints it behind the set's name.
    ///
    /// The text alone is judged: whether the set can hold the entry says [`check`](Self::check).
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::Missing`], [`Error::InvalidSetName`] and
    /// [`Error::InvalidInterfaceName`] for what cannot be read, [`Error::UnknownSetType`] for a
    /// type this crate does not know.
    pub fn parse_entry(&self, text: &str) -> Result<Entry, Error> {
        parse_entry(&self.set_type, &mut Tokens::new(text))
    }
}

fn parse_line(tokens: &mut Tokens<'_>) -> Result<SetSpec, Error> {
    match tokens.require("`create`")? {
        "create" | "-N" | "--create" => parse_create(tokens),
        other => Err(Error::token(
            "`create` line",
            other,
            "a set starts with `create`",
        )),
    }
}

/// What stands behind `create`.
pub(crate) fn parse_create(tokens: &mut Tokens<'_>) -> Result<SetSpec, Error> {
    let name = SetName::new(tokens.require("the name of a set")?)?;
    let set_type = SetType::new(tokens.require("the type of a set")?)?;
    let mut spec = SetSpec::new(name, set_type, set_type.default_family());
    while let Some(word) = tokens.next()? {
        option(&mut spec, word, tokens)?;
    }
    defaults(&mut spec);
    spec.validate()?;
    Ok(spec)
}

fn option(spec: &mut SetSpec, word: &str, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let options = &mut spec.options;
    match word {
        "family" => spec.family = family(tokens.require("a family")?)?,
        "-4" => spec.family = Family::Inet,
        "-6" => spec.family = Family::Inet6,
        "range" | "from" => {
            options.range = Some(range(&spec.set_type, tokens.require("a range")?)?);
        }
        "hashsize" => options.hashsize = Some(tokens.number("number of buckets")?),
        "maxelem" => options.maxelem = Some(tokens.number("number of elements")?),
        "netmask" => options.netmask = Some(tokens.number("prefix length")?),
        "bitmask" => {
            let text = tokens.require("a mask")?;
            let mask = text
                .parse()
                .map_err(|_| Error::token("mask", text, "write it as an address"))?;
            options.bitmask = Some(mask);
        }
        "markmask" => options.markmask = Some(parse_mark(tokens.require("a mask")?)?),
        "size" => options.size = Some(tokens.number("number of members")?),
        "timeout" => options.timeout = Some(tokens.number("timeout in seconds")?),
        "counters" => options.counters = true,
        "comment" => options.comment = true,
        "forceadd" => options.forceadd = true,
        "skbinfo" => options.skbinfo = true,
        "bucketsize" => options.bucketsize = Some(tokens.number("number of entries")?),
        "initval" => options.initval = Some(tokens.number("seed")?),
        "-exist" | "-!" => {}
        _ => {
            return Err(Error::token(
                "option of a set",
                word,
                "see ipset(8) for those there are",
            ));
        }
    }
    Ok(())
}

fn family(text: &str) -> Result<Family, Error> {
    match text {
        "inet" | "ipv4" | "-4" => Ok(Family::Inet),
        "inet6" | "ipv6" | "-6" => Ok(Family::Inet6),
        "unspec" => Ok(Family::Unspecified),
        _ => Err(Error::token("family", text, "write inet or inet6")),
    }
}

fn range(set_type: &SetType, text: &str) -> Result<BitmapRange, Error> {
    if *set_type == SetType::BITMAP_PORT {
        return PortRange::parse(text).map(BitmapRange::Ports);
    }
    let addresses = Addresses::parse(text)?;
    match (addresses.first(), addresses.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ok(BitmapRange::Addresses(first, last)),
        _ => Err(Error::token("range", text, "a bitmap spans IPv4 addresses")),
    }
}

/// What the kernel takes where nothing is said and `ipset save` always prints.
fn defaults(spec: &mut SetSpec) {
    let CreateOptions {
        hashsize,
        maxelem,
        markmask,
        size,
        ..
    } = &mut spec.options;
    match spec.set_type.method() {
        Some(Method::Hash) => {
            hashsize.get_or_insert(SetSpec::DEFAULT_HASHSIZE);
            maxelem.get_or_insert(SetSpec::DEFAULT_MAXELEM);
        }
        Some(Method::List) => {
            size.get_or_insert(SetSpec::DEFAULT_LIST_SIZE);
        }
        _ => {}
    }
    if spec.set_type == SetType::HASH_IP_MARK {
        markmask.get_or_insert(u32::MAX);
    }
}
