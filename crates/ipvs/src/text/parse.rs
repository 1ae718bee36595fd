//! Reading lines of `ipvsadm -S`.

mod options;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::{
    Destination, DestinationConfig, DestinationId, Error, Family, ForwardingMethod, Netmask,
    Protocol, Result, SaveLine, Scheduler, SchedulerFlags, ServiceFlags, TunnelFlags, TunnelType,
    VirtualServerConfig, VirtualServerId,
};
use options::{Kind, Words};

/// What `ipvsadm -p` without a value means: 6 minutes (its manual page says 5).
const DEFAULT_TIMEOUT: u32 = 360;

/// The longest persistence timeout that `ipvsadm` 1.31 takes, in seconds: 31 days.
const MAX_TIMEOUT: u32 = 31 * 24 * 60 * 60;

/// The highest weight and threshold of a destination: the kernel counts connections as `int`.
const MAX_INT: u32 = u32::MAX >> 1;

impl FromStr for SaveLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut draft = Draft::default();
        for option in Words::of(line) {
            let option = option?;
            draft.take(option.kind, option.word, option.value)?;
        }
        draft.finish(line.trim())
    }
}

/// The options of a line read so far; values that depend on others are read at its end.
#[derive(Default)]
struct Draft<'a> {
    command: Option<Kind>,
    service: Option<(Kind, &'a str)>,
    ipv6: bool,
    scheduler: Option<&'a str>,
    timeout: Option<u32>,
    netmask: Option<&'a str>,
    engine: Option<&'a str>,
    one_packet: bool,
    scheduler_flags: Option<&'a str>,
    destination: Option<&'a str>,
    forwarding: Option<ForwardingMethod>,
    weight: Option<u32>,
    upper_threshold: Option<u32>,
    lower_threshold: Option<u32>,
    tunnel_type: Option<TunnelType>,
    tunnel_port: Option<u16>,
    no_checksum: bool,
    tunnel_flags: TunnelFlags,
    first_service_word: Option<&'a str>,
    first_destination_word: Option<&'a str>,
}

impl<'a> Draft<'a> {
    fn take(&mut self, kind: Kind, word: &'a str, value: &'a str) -> Result<()> {
        let fresh = match kind {
            Kind::AddService | Kind::AddDestination => self.command.replace(kind).is_none(),
            Kind::Service(_) | Kind::Mark => self.service.replace((kind, value)).is_none(),
            Kind::Ipv6 => !std::mem::replace(&mut self.ipv6, true),
            Kind::Scheduler => self.scheduler.replace(value).is_none(),
            Kind::Persistent => {
                let timeout = if value.is_empty() {
                    DEFAULT_TIMEOUT
                } else {
                    bounded(
                        value,
                        1..=MAX_TIMEOUT,
                        "a persistence timeout is 1 to 2678400 seconds (31 days)",
                    )?
                };
                self.timeout.replace(timeout).is_none()
            }
            Kind::Netmask => self.netmask.replace(value).is_none(),
            Kind::Engine => self.engine.replace(value).is_none(),
            Kind::OnePacket => !std::mem::replace(&mut self.one_packet, true),
            Kind::SchedulerFlags => self.scheduler_flags.replace(value).is_none(),
            Kind::Destination => self.destination.replace(value).is_none(),
            Kind::Forwarding(method) => self.forwarding.replace(method).is_none(),
            Kind::Weight => {
                let weight = bounded(value, 0..=MAX_INT, "a weight is 0 to 2147483647")?;
                self.weight.replace(weight).is_none()
            }
            Kind::UpperThreshold => self.upper_threshold.replace(threshold(value)?).is_none(),
            Kind::LowerThreshold => self.lower_threshold.replace(threshold(value)?).is_none(),
            Kind::TunnelType => self.tunnel_type.replace(tunnel_type(value)?).is_none(),
            Kind::TunnelPort => self.tunnel_port.replace(number(value)?).is_none(),
            Kind::NoChecksum => !std::mem::replace(&mut self.no_checksum, true),
            Kind::TunnelFlag(flag) => {
                let fresh = !self.tunnel_flags.contains(flag);
                self.tunnel_flags |= flag;
                fresh
            }
        };
        if kind.is_of_service() {
            self.first_service_word.get_or_insert(word);
        } else if kind.is_of_destination() {
            self.first_destination_word.get_or_insert(word);
        }
        if fresh {
            Ok(())
        } else {
            Err(Error::save_line(word, "is given twice"))
        }
    }

    fn finish(&self, line: &str) -> Result<SaveLine> {
        let id = self.id(line)?;
        match self.command {
            Some(Kind::AddService) => match self.first_destination_word {
                Some(word) => Err(Error::save_line(word, "belongs to a destination (-a)")),
                None => {
                    let config = self.service(id.family())?;
                    self.check_service(&id)?;
                    Ok(SaveLine::AddService { id, config })
                }
            },
            Some(_) => match self.first_service_word {
                Some(word) => Err(Error::save_line(word, "belongs to a virtual server (-A)")),
                None => Ok(SaveLine::AddDestination {
                    service: id,
                    destination: self.destination(id, line)?,
                }),
            },
            None => Err(Error::save_line(
                line,
                "neither -A (virtual server) nor -a (destination)",
            )),
        }
    }

    fn id(&self, line: &str) -> Result<VirtualServerId> {
        let Some((kind, value)) = self.service else {
            return Err(Error::save_line(
                line,
                "has no virtual server (-t, -u, --sctp-service, -f)",
            ));
        };
        let Kind::Service(protocol) = kind else {
            let family = if self.ipv6 { Family::V6 } else { Family::V4 };
            return Ok(VirtualServerId::FirewallMark {
                family,
                mark: mark(value)?,
            });
        };
        if self.ipv6 {
            return Err(Error::save_line("-6", "is for firewall marks (-f) only"));
        }
        let (address, port) = address(value, 0)?;
        Ok(VirtualServerId::Address {
            protocol,
            address,
            port,
        })
    }

    fn service(&self, family: Family) -> Result<VirtualServerConfig> {
        let scheduler = self.scheduler.map_or(Ok(Scheduler::WLC), str::parse)?;
        let mut config = VirtualServerConfig::new(scheduler);
        if let Some(timeout) = self.timeout {
            config = config.persistent(timeout);
        }
        if let Some(text) = self.netmask {
            let reason = "not a netmask: 255.255.255.0 for IPv4, 1 to 128 for IPv6";
            config.netmask =
                Netmask::parse(family, text).ok_or_else(|| Error::save_line(text, reason))?;
        }
        config.engine = self.engine.map(str::parse).transpose()?;
        config.flags.set(ServiceFlags::ONE_PACKET, self.one_packet);
        if let Some(flags) = self.scheduler_flags {
            config.flags |= SchedulerFlags::parse(scheduler, flags)?;
        }
        Ok(config)
    }

    fn destination(&self, service: VirtualServerId, line: &str) -> Result<Destination> {
        let Some(text) = self.destination else {
            return Err(Error::save_line(line, "has no destination (-r)"));
        };
        let service_port = match service {
            VirtualServerId::Address { port, .. } => port,
            VirtualServerId::FirewallMark { .. } => 0,
        };
        let (address, port) = address(text, service_port)?;
        let forwarding = self.forwarding.unwrap_or(ForwardingMethod::DirectRoute);
        let mut config = DestinationConfig::new(forwarding, self.weight.unwrap_or(1));
        config.upper_threshold = self.upper_threshold.unwrap_or(0);
        config.lower_threshold = self.lower_threshold.unwrap_or(0);
        config.tunnel.kind = self.tunnel_type.unwrap_or_default();
        config.tunnel.port = self.tunnel_port.unwrap_or(0);
        config.tunnel.flags = self.tunnel_flags;
        self.check_tunnel(&config)?;
        let id = DestinationId { address, port };
        check_destination(service, text, &id, &config)?;
        Ok(Destination { id, config })
    }

    /// What `ipvsadm` asks of a virtual server and its options together.
    fn check_service(&self, id: &VirtualServerId) -> Result<()> {
        let &VirtualServerId::Address { protocol, port, .. } = id else {
            return Ok(());
        };
        if self.one_packet && protocol != Protocol::UDP {
            let reason = "one-packet scheduling is only for UDP (-u) and firewall marks (-f)";
            return Err(Error::save_line("-o", reason));
        }
        if port == 0 && self.timeout.is_none() {
            let word = self.service.map_or("", |(_, word)| word);
            let reason = "port 0 is every port, which needs persistence: add -p, or name a port";
            return Err(Error::save_line(word, reason));
        }
        Ok(())
    }

    /// The same combinations as ipvsadm, but for both checksum flags of GUE at once, which the
    /// kernel can hold.
    fn check_tunnel(&self, config: &DestinationConfig) -> Result<()> {
        let remote = config.tunnel.flags.contains(TunnelFlags::REMOTE_CHECKSUM);
        let any_checksum = self.no_checksum || !config.tunnel.flags.is_empty();
        let port = self.tunnel_port.is_some();
        let (word, reason) = match config.tunnel.kind {
            _ if config.forwarding != ForwardingMethod::Tunnel => {
                if self.tunnel_type.is_none() && !port && !any_checksum {
                    return Ok(());
                }
                ("--tun-…", "needs forwarding by tunnel (-i)")
            }
            TunnelType::GUE if config.tunnel.port == 0 => ("gue", "needs --tun-port"),
            TunnelType::IPIP | TunnelType::GRE if port => {
                ("--tun-port", "is for --tun-type gue only")
            }
            TunnelType::IPIP if any_checksum => ("ipip", "has no checksum options"),
            TunnelType::GRE if remote => ("--tun-remcsum", "is for --tun-type gue only"),
            _ if self.no_checksum && !config.tunnel.flags.is_empty() => {
                ("--tun-nocsum", "contradicts the other checksum option")
            }
            _ => return Ok(()),
        };
        Err(Error::save_line(word, reason))
    }
}

/// What `ipvsadm` asks of the address of a destination, and the kernel (`ip_vs_add_dest`) of thresholds.
fn check_destination(
    service: VirtualServerId,
    text: &str,
    id: &DestinationId,
    config: &DestinationConfig,
) -> Result<()> {
    if Family::of(id.address) != service.family() && config.forwarding != ForwardingMethod::Tunnel {
        let reason = "of another family than its virtual server, which only a tunnel (-i) takes";
        return Err(Error::save_line(text, reason));
    }
    if config.lower_threshold > config.upper_threshold {
        let reason = "the lower threshold is above the upper one (-x)";
        return Err(Error::save_line("-y", reason));
    }
    Ok(())
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| Error::save_line(text, "not a number in range"))
}

fn threshold(text: &str) -> Result<u32> {
    bounded(
        text,
        0..=MAX_INT,
        "a threshold is 0 to 2147483647 connections",
    )
}

/// A number within `range`, which `reason` states.
fn bounded(text: &str, range: RangeInclusive<u32>, reason: &'static str) -> Result<u32> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| Error::save_line(text, reason))
}

/// `ipvsadm` prints marks as signed numbers, so negative ones are taken for what they were.
pub(super) fn mark(text: &str) -> Result<NonZeroU32> {
    let mark = text.parse().or_else(|_| {
        text.parse::<i32>()
            .map(|signed| u32::from_ne_bytes(signed.to_ne_bytes()))
    });
    mark.ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| Error::save_line(text, "not a firewall mark: a number above 0"))
}

fn tunnel_type(text: &str) -> Result<TunnelType> {
    match text {
        "ipip" => Ok(TunnelType::IPIP),
        "gue" => Ok(TunnelType::GUE),
        "gre" => Ok(TunnelType::GRE),
        _ => Err(Error::save_line(text, "not a tunnel type: ipip, gue, gre")),
    }
}

pub(super) fn address(text: &str, default_port: u16) -> Result<(IpAddr, u16)> {
    if let Ok(id) = text.parse::<DestinationId>() {
        return Ok((id.address, id.port));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse() {
        Ok(address) => Ok((address, default_port)),
        Err(_) => Err(Error::save_line(
            text,
            "not a numeric address and port: 10.0.0.1:80 or [2001:db8::1]:80",
        )),
    }
}
