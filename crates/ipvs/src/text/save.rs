//! Lines of `ipvsadm -Sn`.

use std::fmt;

use crate::{
    Destination, DestinationConfig, ForwardingMethod, SchedulerFlags, ServiceFlags, TunnelFlags,
    TunnelType, VirtualServerConfig, VirtualServerId,
};

/// A line of `ipvsadm -Sn`, as `ipvsadm -R` takes it.
///
/// Displays as `ipvsadm` 1.31 prints it, but where that would lose something: thresholds
/// (`-x`, `-y`) are printed when set, firewall marks above `i32::MAX` are not printed as negative,
/// and a third flag of `sh` or `mh` is `flag-3`. Timeout and netmask of a service without
/// persistence, and tunnel settings of another forwarding method, have no effect and are left out.
///
/// Parses what `ipvsadm -R` takes, in any order, short and long options, an `ipvsadm` in front.
/// Host and service names are not looked up. Unlike `ipvsadm`, it takes a destination's port as it
/// is written, also for direct routing and tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SaveLine {
    /// `-A`: a virtual server.
    AddService {
        /// What identifies it.
        id: VirtualServerId,
        /// How it is configured.
        config: VirtualServerConfig,
    },
    /// `-a`: a destination of a virtual server.
    AddDestination {
        /// The virtual server.
        service: VirtualServerId,
        /// The destination.
        destination: Destination,
    },
}

impl fmt::Display for SaveLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService { id, config } => write_service(f, id, config),
            Self::AddDestination {
                service,
                destination,
            } => {
                write!(f, "-a {service} -r {}", destination.id)?;
                write_destination(f, &destination.config)
            }
        }
    }
}

fn write_service(
    f: &mut fmt::Formatter<'_>,
    id: &VirtualServerId,
    config: &VirtualServerConfig,
) -> fmt::Result {
    write!(f, "-A {id} -s {}", config.scheduler)?;
    if config.is_persistent() {
        write!(f, " -p {}", config.timeout)?;
        if let Some(netmask) = config.netmask.shown(id.family()) {
            write!(f, " -M {netmask}")?;
        }
    }
    if let Some(engine) = config.engine {
        write!(f, " --pe {engine}")?;
    }
    if config.flags.contains(ServiceFlags::ONE_PACKET) {
        f.write_str(" -o")?;
    }
    if config.flags.intersects(ServiceFlags::SCHEDULER) {
        let flags = SchedulerFlags {
            scheduler: config.scheduler,
            flags: config.flags,
        };
        write!(f, " -b {flags}")?;
    }
    Ok(())
}

fn write_destination(f: &mut fmt::Formatter<'_>, config: &DestinationConfig) -> fmt::Result {
    let method = match config.forwarding {
        ForwardingMethod::Masquerade => "-m",
        ForwardingMethod::Tunnel => "-i",
        // ipvsadm has no option for the two others. It prints the first as we do, and the second
        // as `(null)`, which it cannot read.
        ForwardingMethod::DirectRoute | ForwardingMethod::Local | ForwardingMethod::Bypass => "-g",
    };
    write!(f, " {method} -w {}", config.weight)?;
    for (option, threshold) in [
        ("-x", config.upper_threshold),
        ("-y", config.lower_threshold),
    ] {
        if threshold > 0 {
            write!(f, " {option} {threshold}")?;
        }
    }
    if config.forwarding == ForwardingMethod::Tunnel {
        write_tunnel(f, config)?;
    }
    Ok(())
}

fn write_tunnel(f: &mut fmt::Formatter<'_>, config: &DestinationConfig) -> fmt::Result {
    let tunnel = config.tunnel;
    match tunnel.kind {
        TunnelType::IPIP => return f.write_str(" --tun-type ipip"),
        TunnelType::GUE => write!(f, " --tun-type gue --tun-port {}", tunnel.port)?,
        TunnelType::GRE => f.write_str(" --tun-type gre")?,
        // Neither ipvsadm nor our parser knows more types; both refuse this one by its number.
        TunnelType(number) => write!(f, " --tun-type {number} --tun-port {}", tunnel.port)?,
    }
    if tunnel.flags.is_empty() {
        return f.write_str(" --tun-nocsum");
    }
    if tunnel.flags.contains(TunnelFlags::CHECKSUM) {
        f.write_str(" --tun-csum")?;
    }
    if tunnel.flags.contains(TunnelFlags::REMOTE_CHECKSUM) {
        f.write_str(" --tun-remcsum")?;
    }
    Ok(())
}
